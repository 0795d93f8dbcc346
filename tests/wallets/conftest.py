"""What tests of wallets share: people whose approval is not what is tested."""

import pytest

from hansa.wallets import approving


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every spend may begin at once; tests/wallets/test_wallet_approvals.py has those that may not."""

    def may_begin(*_: object) -> bool:
        return True

    monkeypatch.setattr(approving, "may_begin", may_begin)
