"""Who may speak, in which versions; parties and quotes; the desk of the operator; settlement."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from doors import CONDITION, NOW, Doors, open_doors
from test_fspiop_transfers import fulfilled

from hansa import hub, ledger, trust
from hansa.apps import fspiop
from hansa.apps.fspiop import signing, wire
from hansa.apps.fspiop.errors import Refused
from hansa.store import Context

QUOTES, PARTIES = wire.content_type("quotes"), wire.content_type("parties")

HEADERS = [
    # header            | what is sent                       | answer | code
    ("accept", PARTIES.replace("1.1", "3.0"), 406, "3001"),
    ("accept", "", 400, "3102"),
    ("accept", "application/json", 400, "3101"),
    ("content-type", PARTIES.replace("1.1", "9.9"), 406, "3001"),
    ("content-type", "application/json", 400, "3101"),
    ("fspiop-source", "", 400, "3102"),
    ("fspiop-source", "nobody", 400, "3100"),
    ("fspiop-source", "{fspId}", 400, "3101"),
    ("fspiop-source", "Hub", 400, "3100"),
    ("date", "", 400, "3102"),
]


def quote(n: int, **changes: Any) -> dict[str, Any]:
    party = {"partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "123", "fspId": "bo"}}
    kind = {"scenario": "TRANSFER", "initiator": "PAYER", "initiatorType": "CONSUMER"}
    amount = {"amount": "10", "currency": "USD"}
    asked = {"quoteId": str(UUID(int=n)), "transactionId": str(UUID(int=n)), "payer": party, "payee": party}
    return asked | {"amountType": "SEND", "amount": amount, "transactionType": kind} | changes


def test_parties_and_quotes_go_from_member_to_member(committed_ctx: Context, tmp_path: Path) -> None:
    with open_doors(committed_ctx, tmp_path) as doors:
        anna, bo = doors.members["anna"], doors.members["bo"]
        place, path = "/participants/MSISDN/123", "/parties/MSISDN/123"

        for header, value, status, code in HEADERS:
            answer = doors.send("anna", "GET", path, **{header.replace("-", "_"): value})
            assert (answer.status_code, answer.json()["errorInformation"]["errorCode"]) == (status, code), (
                header
            )
        assert not bo.told

        doors.send("anna", "GET", path)
        unknown = anna.wait_for("PUT", f"{path}/error").body
        assert unknown["errorInformation"]["errorCode"] == "3204"

        assert doors.send("bo", "POST", place, {"fspId": "bo"}).status_code == 202
        assert bo.wait_for("PUT", place).body == {"fspId": "bo"}
        doors.send("cy", "POST", place, {"fspId": "cy"})
        assert (
            doors.members["cy"].wait_for("PUT", f"{place}/error").body["errorInformation"]["errorCode"]
            == "3003"
        )
        refused = doors.send("cy", "POST", place, {"fspId": "bo"})
        assert refused.status_code == 400

        doors.send("anna", "GET", path)
        assert bo.wait_for("GET", path).headers["fspiop-source"] == "anna"
        found = {"party": {"partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "123", "fspId": "bo"}}}
        assert doors.send("bo", "PUT", path, found, fspiop_destination="anna").status_code == 200
        assert anna.wait_for("PUT", path).body == found

        assert doors.send("anna", "POST", "/quotes", quote(1), fspiop_destination="bo").status_code == 202
        assert bo.wait_for("POST", "/quotes").body == quote(1)
        given = {
            "transferAmount": {"amount": "10", "currency": "USD"},
            "expiration": wire.said(NOW + timedelta(minutes=1)),
            "ilpPacket": "AAAA",
            "condition": CONDITION,
        }
        doors.send("bo", "PUT", f"/quotes/{UUID(int=1)}", given, fspiop_destination="anna")
        assert anna.wait_for("PUT", f"/quotes/{UUID(int=1)}").body == given

        for n, body, to, code in (
            (1, quote(1, amountType="RECEIVE"), "bo", "3106"),
            (2, quote(2), "nobody", "3201"),
        ):
            doors.send("anna", "POST", "/quotes", body, fspiop_destination=to)
            told = anna.wait_for("PUT", f"/quotes/{UUID(int=n)}/error").body
            assert told["errorInformation"]["errorCode"] == code
        bo.status = 404
        doors.send("anna", "POST", "/quotes", quote(3), fspiop_destination="bo")
        told = anna.wait_for("PUT", f"/quotes/{UUID(int=3)}/error").body
        assert told["errorInformation"]["errorCode"] == "3000"


def test_a_signature_is_looked_at_and_a_key_says_who_speaks(committed_ctx: Context, tmp_path: Path) -> None:
    with open_doors(committed_ctx, tmp_path, trusted=False) as doors:
        ctx = doors.ctx
        with ctx.tx() as tx:
            secret = trust.create_api_key(tx, "anna", ["hub:pay"], at=NOW)
        key = generate_private_key(65_537, 2048)
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

        assert doors.send("anna", "GET", "/parties/MSISDN/1").status_code == 401
        assert doors.admin("GET", "/admin/participants").status_code == 401
        bearer = {"authorization": f"Bearer {secret}"}
        assert doors.send("anna", "GET", "/parties/MSISDN/1", **bearer).status_code == 202
        assert doors.send("bo", "GET", "/parties/MSISDN/1", **bearer).status_code == 403

        doors.app.site.choices = fspiop.Choices(trusted_network=True, private_calls=True)
        assert doors.admin("POST", "/admin/participants/anna/keys", {"key": pem}).status_code == 201
        doors.app.site.choices = fspiop.Choices(private_calls=True)
        body = wire.dump(quote(1))
        date = wire.http_date(NOW)

        def signed(text: bytes = body, uri: str = "/quotes", destination: str = "bo") -> int:
            signature = signing.sign(
                key, method="POST", uri=uri, source="anna", destination=destination, date=date, body=text
            )
            told = {"fspiop_destination": "bo", "fspiop_signature": signature}
            answer = doors.send("anna", "POST", "/quotes", body, **told)
            if answer.status_code == 400:
                assert answer.json()["errorInformation"]["errorCode"] == "3105"
            return answer.status_code

        assert signed(text=body + b" ") == 400
        assert signed(uri="/transfers") == 400
        assert signed(destination="cy") == 400
        assert not doors.members["bo"].told
        assert signed() == 202

        asked = doors.members["bo"].wait_for("POST", "/quotes")
        signing.verify(
            [key.public_key()],
            asked.headers["fspiop-signature"],
            method="POST",
            path="/quotes",
            headers=asked.headers,
            body=asked.text,
        )
        error = doors.members["anna"].wait_for("PUT", "/parties/MSISDN/1/error")
        signing.verify(
            [doors.app.site.key.public_key()],
            error.headers["fspiop-signature"],
            method="PUT",
            path=error.path,
            headers=error.headers,
            body=error.text,
        )


def test_members_are_not_called_inside_our_own_networks(committed_ctx: Context, tmp_path: Path) -> None:
    with open_doors(committed_ctx, tmp_path, private=False) as doors:
        doors.pay(1)
        doors.send("bo", "POST", "/participants/MSISDN/1", {"fspId": "bo"})
        doors.pass_time(1)

        assert all(not member.told for member in doors.members.values())
    for url in ("http://localhost:1/", "http://169.254.169.254/", "ftp://example.org/", "http://[::1]:80/"):
        with pytest.raises(fspiop.Unreachable):
            fspiop.Outside().send("GET", url, {}, b"")


def test_the_desk_keeps_limits_and_funds_and_two_persons(committed_ctx: Context, tmp_path: Path) -> None:
    with open_doors(committed_ctx, tmp_path) as doors:
        accounts = {
            one["ledgerAccountType"]: one
            for one in doors.admin("GET", "/admin/participants/anna/accounts").json()
        }
        place = f"/admin/participants/anna/accounts/{accounts['SETTLEMENT']['id']}"
        amount = {"amount": "100", "currency": "USD"}
        out = {
            "transferId": str(UUID(int=5)),
            "action": "recordFundsOutPrepareReserve",
            "reason": "r",
            "amount": amount,
        }
        too_much = out | {"transferId": str(UUID(int=6)), "amount": amount | {"amount": "1000"}}

        assert doors.admin("POST", place, out).status_code == 202
        assert doors.admin("POST", place, too_much).status_code == 400
        ends = {"action": "recordFundsOutCommit", "reason": "r"}
        assert doors.admin("PUT", f"{place}/transfers/{UUID(int=5)}", ends).status_code == 202
        doors.app.site.choices = fspiop.Choices(trusted_network=True)
        comes = out | {"transferId": str(UUID(int=7)), "action": "recordFundsIn"}
        assert doors.admin("POST", place, comes).status_code == 202
        values = {
            one["ledgerAccountType"]: one["value"]
            for one in doors.admin("GET", "/admin/participants/anna/accounts").json()
        }
        assert values == {"POSITION": 0, "SETTLEMENT": -900}
        with committed_ctx.tx() as tx:
            assert [one.funds_id for one in hub.list_funds(tx, "anna", under_way=True)] == [UUID(int=7)]

        lower = {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": 5}}
        assert doors.admin("PUT", "/admin/participants/anna/limits", lower).json()["limit"]["value"] == 5
        again = lower | {"initialPosition": 0}
        assert (
            doors.admin("POST", "/admin/participants/anna/initialPositionAndLimits", again).status_code == 500
        )
        stranger = {"name": "dora", "currency": "USD"}
        assert (
            doors.admin("POST", "/admin/participants", stranger).json()["errorInformation"]["errorCode"]
            == "3000"
        )
        for path in (
            "/admin/participants/nobody",
            "/admin/nothing",
            "/transfers/",
            "/admin/participants/anna/accounts/0",
        ):
            assert (
                doors.admin("PUT" if path.endswith("/0") else "GET", path, {"isActive": True}).status_code
                == 404
            )
        assert doors.admin("GET", "/health").json()["status"] == "OK"


def test_a_window_is_settled_account_by_account_and_released(committed_ctx: Context, tmp_path: Path) -> None:
    with open_doors(committed_ctx, tmp_path) as doors:
        windows = "/settlement/v2/settlementWindows"
        number = doors.admin("GET", f"{windows}?state=OPEN").json()[0]["id"]
        empty = doors.admin("POST", f"{windows}/{number}", {"state": "CLOSED", "reason": "r"})
        assert empty.status_code == 400
        pay(doors, 1, "30", "bo")
        pay(doors, 2, "12", "cy")

        opened = doors.admin("POST", f"{windows}/{number}", {"state": "CLOSED", "reason": "r"}).json()
        pay(doors, 3, "5", "bo")
        asked = {"settlementModel": "NETUSD", "reason": "r", "settlementWindows": [{"id": number}]}
        told = doors.admin("POST", "/settlement/v2/settlements", asked).json()
        again = doors.admin("POST", "/settlement/v2/settlements", asked)

        assert (opened["state"], opened["id"] > number, again.status_code) == ("OPEN", True, 400)
        nets = sorted(one["accounts"][0]["netSettlementAmount"]["amount"] for one in told["participants"])
        assert nets == [-30, -12, 42]
        settlement = f"/settlement/v2/settlements/{told['id']}"
        assert move(doors, settlement, told, "SETTLED").status_code == 400
        positions: dict[str, list[float]] = {}
        for state in ("PS_TRANSFERS_RECORDED", "PS_TRANSFERS_RESERVED", "PS_TRANSFERS_COMMITTED", "SETTLED"):
            for _ in range(2):  # again is harmless
                assert move(doors, settlement, told, state).json()["state"] == state
            positions[state] = [doors.position(name) for name in ("anna", "bo", "cy")]
        assert positions == {
            "PS_TRANSFERS_RECORDED": [47, -35, -12],
            "PS_TRANSFERS_RESERVED": [47, -5, 0],
            "PS_TRANSFERS_COMMITTED": [5, -5, 0],
            "SETTLED": [5, -5, 0],
        }
        assert doors.admin("GET", f"{windows}/{number}").json()["state"] == "SETTLED"

        doors.admin("POST", f"{windows}/{opened['id']}", {"state": "CLOSED", "reason": "r"})
        rest = doors.admin(
            "POST", "/settlement/v2/settlements", asked | {"settlementWindows": [{"id": opened["id"]}]}
        )
        amounts = {one["accounts"][0]["netSettlementAmount"]["amount"] for one in rest.json()["participants"]}
        assert amounts == {5, -5}
        with committed_ctx.tx() as tx:
            assert ledger.trial_balance(tx).is_even


def test_what_clears_in_windows_is_not_settled_here_too(committed_ctx: Context, tmp_path: Path) -> None:
    with open_doors(committed_ctx, tmp_path) as doors:
        windows = "/settlement/v2/settlementWindows"
        number = doors.admin("GET", f"{windows}?state=OPEN").json()[0]["id"]
        pay(doors, 1, "30", "bo")
        doors.admin("POST", f"{windows}/{number}", {"state": "CLOSED", "reason": "r"})
        assert hub.gather(committed_ctx) == 1

        refused = doors.admin(
            "POST",
            "/settlement/v2/settlements",
            {"settlementModel": "NETUSD", "reason": "r", "settlementWindows": [{"id": number}]},
        )

        told = refused.json()["errorInformation"]
        assert (refused.status_code, told["errorCode"]) == (400, "3100")
        assert "USD clear in clearing's windows" in told["errorDescription"]
        assert doors.admin("GET", f"{windows}/{number}").json()["state"] == "CLOSED"
        assert doors.position("anna") == 30


def pay(doors: Doors, n: int, amount: str, payee: str) -> None:
    """A transfer from ``anna``, to the end."""
    transfer_id = doors.pay(n, amount=amount, payee=payee)
    doors.members[payee].wait_for("POST", "/transfers")
    while doors.states().get(transfer_id) != "RESERVED":
        pass
    doors.send(payee, "PUT", f"/transfers/{transfer_id}", fulfilled(), fspiop_destination="anna")
    doors.members["anna"].wait_for("PUT", f"/transfers/{transfer_id}")
    doors.members[payee].told.clear()


def move(doors: Doors, settlement: str, told: dict[str, Any], state: str) -> Any:
    """All accounts of a settlement go on to a state."""
    participants = [
        {
            "id": one["id"],
            "accounts": [{"id": account["id"], "state": state, "reason": "r"} for account in one["accounts"]],
        }
        for one in told["participants"]
    ]
    return doors.admin("PUT", settlement, {"participants": participants})


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("10.5", "USD", 1050),
        ("7", "JPY", 7),
        ("1.234", "KWD", 1234),
        ("1.234", "USD", None),
        ("0.5", "JPY", None),
    ],
)
def test_an_amount_is_whole_minor_units(amount: str, currency: str, minor: int | None) -> None:
    if minor is None:
        with pytest.raises(Refused):
            wire.read_amount(amount, currency)
        return

    read = wire.read_amount(amount, currency)

    assert (read.minor, wire.write_amount(read.minor, currency)) == (minor, amount)
