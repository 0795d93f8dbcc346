"""A data folder of an earlier Hansa, whose tariffs were others: the demonstration says how to begin anew."""

from datetime import date
from pathlib import Path

import pytest

from hansa import atlas, rides, trust
from hansa.apps.demo.league import OlderDemoStands, build_league
from hansa.apps.demo.spec import Spec
from hansa.store import Context


def test_a_league_with_an_older_tariff_is_told_to_start_over(ctx: Context, tmp_path: Path) -> None:
    source = rides.read_tariff(rides.tariff_folder("beijing-subway")).source
    older = rides.read_source(rides.TariffSource(source.toml.replace('"3.00"', '"2.00"'), source.tables))
    with ctx.tx() as tx:
        atlas.import_city(tx, atlas.read_city(atlas.city_folder("beijing")))
        rides.import_tariff(tx, older)

    with pytest.raises(OlderDemoStands, match=r"beijing-subway.*hansa demo --fresh.*--home"):
        build_league(ctx, trust.KeyFolder(tmp_path / "keys"), Spec(riders=150))

    with ctx.tx() as tx:
        assert rides.get_tariff(tx, "beijing-subway", date(2026, 11, 17)) == older
