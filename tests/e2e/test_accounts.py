"""Accounts over HTTP, to the letter of the contract."""

import base64
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import pytest

from common.catalogue import CATALOGUE
from tests.stack import Account, Stack, run_kalpi

GOOD = "correct horse battery"


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


def _name() -> str:
    return f"user.{uuid.uuid4().hex[:12]}"


def _register(client: httpx.Client, name: str, password: str = GOOD) -> httpx.Response:
    return client.post("/v1/auth/register", json={"username": name, "password": password})


def _sign_in(client: httpx.Client, name: str, password: str = GOOD) -> dict[str, str]:
    answer = client.post("/v1/auth/token", data={"username": name, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()


def _me(client: httpx.Client, token: str) -> httpx.Response:
    return client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})


def test_register_sign_in_and_look_at_oneself(client: httpx.Client) -> None:
    name = _name()
    made = _register(client, name)
    assert made.status_code == 201
    assert set(made.json()) == {"id", "username", "tier", "created_at"}
    assert (made.json()["username"], made.json()["tier"]) == (name, "free")
    pair = _sign_in(client, name.upper())  # names are the same in any case
    assert set(pair) == {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 1800)
    me = _me(client, pair["access_token"])
    assert me.status_code == 200
    body = me.json()
    assert (body["id"], body["username"], body["tier"]) == (made.json()["id"], name, "free")
    assert body["usage"] | {"resets_at": ""} == {"limit": 50, "used": 0, "remaining": 50, "resets_at": ""}
    assert body["allowed"]["indicators"] == ["sma", "ema"]
    assert body["allowed"]["start_date"] < body["allowed"]["end_date"]
    assert me.headers["RateLimit-Policy"] == '"daily";q=50;w=86400'
    assert me.headers["RateLimit"].startswith('"daily";r=50;t=')
    assert me.headers["X-RateLimit-Limit"] == me.headers["X-RateLimit-Remaining"] == "50"
    assert int(me.headers["X-RateLimit-Reset"]) % 86400 == 0


def test_unlimited_has_no_daily_headers(stack: Stack) -> None:
    with stack.client(stack.create_user("premium")) as client:
        me = client.get("/v1/me")
    assert me.json()["usage"]["limit"] is None
    assert me.json()["usage"]["remaining"] is None
    assert me.json()["allowed"]["indicators"] == list(CATALOGUE)
    assert not [name for name in me.headers if "ratelimit" in name]


def test_a_taken_name_is_a_conflict_in_any_case_even_at_the_same_moment(client: httpx.Client) -> None:
    name = _name()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: _register(client, name.upper() if n % 2 else name), range(8)))
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7
    assert _register(client, name.title()).status_code == 409


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"username": "ab", "password": GOOD}, "username"),
        ({"username": "a" * 65, "password": GOOD}, "username"),
        ({"username": "a b c", "password": GOOD}, "username"),
        ({"username": "ünïcode", "password": GOOD}, "username"),
        ({"username": "nul\0", "password": GOOD}, "username"),
        ({"username": "", "password": GOOD}, "username"),
        ({"username": 17, "password": GOOD}, "username"),
        ({"username": "somebody", "password": "123456789"}, "password"),
        ({"username": "somebody", "password": "ü" * 37}, "password"),
        ({"username": "somebody", "password": "tabs\tand\0nuls"}, "password"),
        ({"username": "somebody"}, "password"),
        ({"username": "somebody", "password": GOOD, "tier": "premium"}, "tier"),
        ({"username": "somebody", "pasword": GOOD, "password": GOOD}, "pasword"),
    ],
)
def test_bad_registrations_name_the_field(client: httpx.Client, body: dict[str, object], where: str) -> None:
    answer = client.post("/v1/auth/register", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["detail"] == "Invalid parameters"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert [e["loc"] for e in problem["errors"]] == [["body", where]]
    assert GOOD not in answer.text
    if where == "pasword":
        assert "did you mean 'password'" in problem["errors"][0]["msg"]


def test_the_longest_password_works_and_one_byte_more_does_not(client: httpx.Client) -> None:
    name = _name()
    assert _register(client, name, "ü" * 36).status_code == 201
    _sign_in(client, name, "ü" * 36)
    refused = client.post("/v1/auth/token", data={"username": name, "password": "ü" * 36 + "x"})
    assert refused.status_code == 401


@pytest.mark.parametrize("name", ["nobody-at-all", "nul\0name", "x" * 1000, ""])
def test_unknown_users_and_wrong_passwords_are_the_same_401(client: httpx.Client, name: str) -> None:
    known = _name()
    _register(client, known)
    wrong = client.post("/v1/auth/token", data={"username": known, "password": "not the password"})
    unknown = client.post("/v1/auth/token", data={"username": name or " ", "password": "not the password"})
    for answer in (wrong, unknown):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["detail"] == "Invalid authentication credentials"


def _forged(token: str, **changes: object) -> str:
    """The token's claims, changed, signed with another key."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims | changes, "k" * 40, algorithm="HS256")


def _unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


@pytest.mark.parametrize(
    "credentials",
    [
        None,
        "",
        "Bearer",
        "Bearer nonsense",
        "Bearer a.b.c",
        "Bearer " + "x" * 5000,
        "Basic dXNlcjpwdw==",
        "Token {token}",
        "Bearer {forged}",
        "Bearer {unsigned}",
    ],
)
def test_bad_credentials_are_401_before_anything_else(
    stack: Stack, client: httpx.Client, credentials: str | None
) -> None:
    token = stack.create_user().token
    headers = {}
    if credentials is not None:
        words = {"token": token, "forged": _forged(token), "unsigned": _unsigned(token)}
        headers["Authorization"] = credentials.format(**words)
    for path in (
        "/v1/me",
        "/v1/indicators/nope",
        "/v1/indicators/sma/values?period=0",
        "/v1/symbols?foo=1",
        "/v1/jobs",
    ):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["detail"] == "Invalid authentication credentials"


def test_a_refresh_token_works_once_and_its_second_use_ends_the_family(client: httpx.Client) -> None:
    name = _name()
    _register(client, name)
    first = _sign_in(client, name)
    other = _sign_in(client, name)
    second = client.post("/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    pair = second.json()
    assert pair["refresh_token"] != first["refresh_token"]
    assert _me(client, pair["access_token"]).status_code == 200
    assert client.post("/v1/auth/refresh", json={"refresh_token": first["refresh_token"]}).status_code == 401
    assert client.post("/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]}).status_code == 401
    assert _me(client, pair["access_token"]).status_code == 401
    assert _me(client, other["access_token"]).status_code == 200  # another sign-in is another family


def test_a_refresh_token_sent_by_many_at_once_is_spent_once(client: httpx.Client) -> None:
    name = _name()
    _register(client, name)
    token = _sign_in(client, name)["refresh_token"]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.post("/v1/auth/refresh", json={"refresh_token": token}), range(8)))
    assert sorted(a.status_code for a in answers) == [200] + [401] * 7


def test_logout_ends_the_session_at_once(client: httpx.Client) -> None:
    name = _name()
    _register(client, name)
    pair = _sign_in(client, name)
    assert client.post("/v1/auth/logout", json={"refresh_token": pair["refresh_token"]}).status_code == 204
    assert _me(client, pair["access_token"]).status_code == 401
    assert client.post("/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]}).status_code == 401
    assert client.post("/v1/auth/logout", json={"refresh_token": "unknown"}).status_code == 401


def test_a_new_password_ends_every_other_session(client: httpx.Client) -> None:
    name = _name()
    _register(client, name)
    here, there = _sign_in(client, name), _sign_in(client, name)
    headers = {"Authorization": f"Bearer {here['access_token']}"}
    change = {"current_password": "wrong wrong wrong", "new_password": "another horse battery"}
    assert client.post("/v1/auth/password", json=change, headers=headers).status_code == 401
    change["current_password"] = GOOD
    short = client.post("/v1/auth/password", json=change | {"new_password": "short"}, headers=headers)
    assert short.json()["errors"][0]["loc"] == ["body", "new_password"]
    assert client.post("/v1/auth/password", json=change, headers=headers).status_code == 204
    assert _me(client, here["access_token"]).status_code == 200
    assert _me(client, there["access_token"]).status_code == 401
    assert client.post("/v1/auth/token", data={"username": name, "password": GOOD}).status_code == 401
    _sign_in(client, name, "another horse battery")


def test_a_tier_set_by_the_operator_holds_from_the_next_request(stack: Stack) -> None:
    account: Account = stack.create_user("free")
    with stack.client(account) as client:
        assert client.get("/v1/me").json()["tier"] == "free"
        run_kalpi("users", "set-tier", account.username, "pro", "--state-dir", stack.state_dir).check_returncode()
        assert client.get("/v1/me").json()["tier"] == "pro"
