"""Where a clone belongs: every form of a remote's URL, the environment's say, and tokens that stay where they are."""

import base64

import pytest

from agent.core.errors import BadInput
from agent.tracking import address

HERE = "https://github.com/lab/experiments.git"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (HERE, ("github.com", "lab/experiments")),
        ("https://github.com/lab/experiments", ("github.com", "lab/experiments")),
        ("https://GitHub.com/lab/experiments/", ("github.com", "lab/experiments")),
        ("https://name:secret@github.com/lab/experiments.git", ("github.com", "lab/experiments")),
        ("ssh://git@github.com/lab/experiments.git", ("github.com", "lab/experiments")),
        ("ssh://git@ssh.github.com:443/lab/experiments.git", ("github.com", "lab/experiments")),
        ("git@github.com:lab/experiments.git", ("github.com", "lab/experiments")),
        ("github.com:lab/dotted.name.git", ("github.com", "lab/dotted.name")),
        ("git://github.com/lab/experiments", ("github.com", "lab/experiments")),
        ("https://github.example.org/lab/experiments", ("github.example.org", "lab/experiments")),
        ("/home/lab/experiments.git", None),
        ("../experiments", None),
        ("file:///home/lab/experiments.git", None),
        ("https://github.com/lab", None),
        ("https://github.com/lab/experiments/tree/main", None),
        ("https://github.com/-lab/experiments", None),
        ("", None),
    ],
)
def test_a_remotes_url_names_a_repository_or_none(url: str, expected: tuple[str, str] | None) -> None:
    place = address.address(url)
    assert (place and (place.host, place.repository)) == expected


def test_auto_takes_github_where_origin_is_there_and_a_token_is_set_and_says_so() -> None:
    expected = address.automatic([HERE], {"GH_TOKEN": "secret"})
    assert (
        expected == "tracker github: origin is lab/experiments and GH_TOKEN is set (local issues: --tracker markdown)"
    )


@pytest.mark.parametrize(
    ("urls", "env"),
    [
        ([], {"GITHUB_TOKEN": "secret"}),
        ([HERE], {}),
        ([HERE], {"GITHUB_TOKEN": "  "}),
        (["https://gitlab.com/lab/experiments"], {"GITHUB_TOKEN": "secret"}),
        (["https://github.com.example.org/lab/experiments"], {"GITHUB_TOKEN": "secret"}),
        ([HERE], {"GITHUB_TOKEN": "secret", "GITHUB_API_URL": "https://github.example.org/api/v3"}),
    ],
)
def test_auto_takes_the_files_otherwise(urls: list[str], env: dict[str, str]) -> None:
    assert address.automatic(urls, env) is None


def test_an_enterprise_is_where_its_api_is() -> None:
    env = {"GITHUB_TOKEN": "secret", "GITHUB_API_URL": "https://github.example.org/api/v3"}
    assert "origin is lab/x" in (address.automatic(["git@github.example.org:lab/x.git"], env) or "")


def test_the_environment_names_the_repository_before_origin_does() -> None:
    assert address.repository([HERE], {"GITHUB_REPOSITORY": "lab/other"}) == "lab/other"
    assert address.repository([HERE], {}) == "lab/experiments"


@pytest.mark.parametrize(
    ("urls", "env", "expected"),
    [
        ([], {}, r"which repository on GitHub\?.*\n  set GITHUB_REPOSITORY=owner/name"),
        (["/a/folder"], {}, "which repository on GitHub"),
        ([HERE], {"GITHUB_REPOSITORY": "no-owner"}, "GITHUB_REPOSITORY is 'no-owner'"),
        ([HERE], {"GITHUB_REPOSITORY": "a/b/c"}, "GITHUB_REPOSITORY is 'a/b/c'"),
    ],
)
def test_a_repository_that_is_not_known_says_what_to_set(urls: list[str], env: dict[str, str], expected: str) -> None:
    with pytest.raises(BadInput, match=expected):
        address.repository(urls, env)


def test_the_token_goes_to_githubs_own_host_alone_and_in_a_header() -> None:
    config = address.credentials([HERE], "a-token", {})
    keys = [config[f"GIT_CONFIG_KEY_{number}"] for number in range(int(config["GIT_CONFIG_COUNT"]))]
    assert keys == ["credential.helper"] + ["http.https://github.com/.extraheader"] * 2
    assert base64.b64decode(config["GIT_CONFIG_VALUE_2"].split()[-1]) == b"x-access-token:a-token"


@pytest.mark.parametrize(
    "url", ["git@github.com:lab/x.git", "https://gitlab.com/lab/x", "/a/folder", "http://github.com/lab/x"]
)
def test_another_remote_is_told_no_token(url: str) -> None:
    assert address.credentials([url], "a-token", {}) == {}


@pytest.mark.parametrize(
    ("environment", "web"),
    [
        ({}, "https://github.com/lab/experiments"),
        ({"GITHUB_API_URL": "https://api.github.com"}, "https://github.com/lab/experiments"),
        ({"GITHUB_API_URL": "https://git.test/api/v3"}, "https://git.test/lab/experiments"),
        ({"GITHUB_SERVER_URL": "http://git.test:8080/"}, "http://git.test:8080/lab/experiments"),
    ],
)
def test_people_see_a_repository_on_the_host_that_the_api_serves(environment: dict[str, str], web: str) -> None:
    assert address.web("lab/experiments", environment) == web
