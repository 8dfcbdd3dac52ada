"""What the greeter must do."""

from hypothesis import given
from hypothesis import strategies as st

from grader.suite import Script, Submission, raised, requirement

NAMES = st.text(alphabet="abcdefgh", min_size=1, max_size=8)


@requirement("GREET-01")
def test_reads_first(submission: Submission) -> None:
    """It receives the request, then sends start and body, and returns."""
    told = submission.converse(Script(scope={"type": "http", "path": "/"}, events=[{"type": "http.request"}]))
    expected = ["← http.request", "→ http.response.start", "→ http.response.body", "returned"]
    assert told.sequence == expected


@requirement("GREET-02")
@given(name=NAMES)
async def test_greets_the_path(submission: Submission, name: str) -> None:
    """The body greets the path."""
    async with submission.session() as session, session.client() as client:
        response = await client.get(f"/{name}")
    assert response.status_code == 200
    assert response.text == f"Hello, /{name}"


@requirement("GREET-03")
async def test_refuses_other_scopes(submission: Submission) -> None:
    """An unknown kind of scope raises ValueError; http does not."""
    async with submission.session() as session:
        async with session.client() as client:
            assert (await client.get("/")).status_code == 200
        with raised("Exception"):
            await session({"type": "teapot"}, _nothing, _refuse)


async def _nothing() -> object:
    raise AssertionError("nothing is to be received")


async def _refuse(message: object) -> None:
    raise AssertionError(f"nothing is to be sent, but {message!r} was")
