"""What journeys brought in: by line, product and rider class, over service days."""

from dataclasses import dataclass
from datetime import date

from psycopg.rows import class_row

from hansa.store import Tx

REVENUE = """
select operator_id, coalesce(line_id, '') as line_id, product, rider_class, currency, count(*) as journeys,
    count(*) filter (where kind in ('no_exit', 'no_entry')) as incomplete, sum(charged_minor)::bigint as charged_minor,
    sum(subsidy_minor)::bigint as subsidy_minor
from rides.journeys
where service_day between %(first)s and %(last)s and status <> 'withdrawn'
    and (%(operators)s::text[] is null or operator_id = any(%(operators)s))
group by operator_id, coalesce(line_id, ''), product, rider_class, currency
order by currency, charged_minor desc, operator_id, line_id, product, rider_class
"""


@dataclass(frozen=True, slots=True)
class Revenue:
    """Journeys of one line, product and rider class. line_id: empty where gates tell stops and no line.

    charged_minor: what riders were charged, corrections in it. subsidy_minor: what members pay on top.
    """

    operator_id: str
    line_id: str
    product: str
    rider_class: str
    currency: str
    journeys: int
    incomplete: int
    charged_minor: int
    subsidy_minor: int


def revenue(tx: Tx, first_day: date, last_day: date, *, operators: list[str] | None = None) -> list[Revenue]:
    """What service days, each city's own, brought in: by currency, most first. operators: only these."""
    with tx.cursor(row_factory=class_row(Revenue)) as cursor:
        values = {"first": first_day, "last": last_day, "operators": operators}
        return cursor.execute(REVENUE, values).fetchall()
