"""The GitHub repository and the credentials of a clone, from its remote's URL and the environment. Pure."""

import base64
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from agent.core.errors import BadInput
from agent.core.frozen import frozen

PUBLIC = "github.com"
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")  # the first that is set
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*)/[\w.-]+", re.ASCII)
_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?!/)(?P<path>.+)", re.ASCII)


@frozen
class Address:
    """A repository on a host: `repository` is owner/name."""

    host: str
    repository: str


def address(url: str) -> Address | None:
    """Return the repository that a remote's URL (https, ssh, git, or host:owner/name) names, or None."""
    if "://" in url:
        split = urlsplit(url)
        host, path = (split.hostname or "") if split.scheme != "file" else "", split.path
    elif match := _SCP.fullmatch(url):
        host, path = match["host"], match["path"]
    else:
        return None
    name = path.strip("/").removesuffix(".git")
    host = PUBLIC if host.lower() == f"ssh.{PUBLIC}" else host.lower()
    return Address(host, name) if host and _NAME.fullmatch(name) else None


def token(environment: Mapping[str, str]) -> str:
    """Return the token, or an empty text where none is set."""
    return next((value for name in TOKENS if (value := environment.get(name, "").strip())), "")


def api(environment: Mapping[str, str]) -> str:
    """Return the address of the API where it is not GitHub's own; else an empty text."""
    return environment.get("GITHUB_API_URL", "").strip().rstrip("/")


def hosts(environment: Mapping[str, str]) -> set[str]:
    """Return the hosts whose repositories the API serves: github.com, or that of an enterprise's server."""
    host = (urlsplit(api(environment)).hostname or PUBLIC).removeprefix("api.")
    server = urlsplit(environment.get("GITHUB_SERVER_URL", "")).hostname
    return {host, *([server] if server else [])}


def web(repository: str, environment: Mapping[str, str]) -> str:
    """Return where people see a repository (owner/name) whose issues the API serves."""
    host = (urlsplit(api(environment)).hostname or PUBLIC).removeprefix("api.")
    server = environment.get("GITHUB_SERVER_URL", "").strip().rstrip("/") or f"https://{host}"
    return f"{server}/{repository}"


def repository_of(urls: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Return the repository (owner/name) on GitHub that one of a remote's `urls` names, or None."""
    known = (place for url in urls if (place := address(url)) and place.host in hosts(environment))
    return next((place.repository for place in known), None)


def automatic(urls: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Return the notice that --tracker auto picks GitHub; None where it does not: no token, or another origin."""
    repository = repository_of(urls, environment)
    name = next((name for name in TOKENS if environment.get(name, "").strip()), None)
    if repository is None or name is None:
        return None
    return f"tracker github: origin is {repository} and {name} is set (local issues: --tracker markdown)"


def repository(urls: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the repository of the issues. Raises BadInput where neither GITHUB_REPOSITORY nor origin names one."""
    variable = environment.get("GITHUB_REPOSITORY", "").strip()
    if variable and not _NAME.fullmatch(variable):
        raise BadInput(f"GITHUB_REPOSITORY is {variable!r}", next_step="it is owner/name: GITHUB_REPOSITORY=owner/name")
    name = variable or repository_of(urls, environment)
    if not name:
        raise BadInput(
            "which repository on GitHub? origin is not there",
            next_step="set GITHUB_REPOSITORY=owner/name, or the remote: git remote add origin <its address>",
        )
    return name


def credentials(urls: Sequence[str], secret: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with which git pushes to GitHub over https as `secret`: no argument and no URL holds it.

    The header goes to that host alone, in place of any that the configuration has. Other remotes use what they have.
    """
    https = next((url for url in urls if url.lower().startswith("https://")), "")
    place = address(https)
    if place is None or place.host not in hosts(environment):
        return {}
    basic = base64.b64encode(f"x-access-token:{secret}".encode()).decode()
    key = f"http.https://{place.host}/.extraheader"
    config = [("credential.helper", ""), (key, ""), (key, f"Authorization: Basic {basic}")]
    keys = {f"GIT_CONFIG_KEY_{at}": name for at, (name, _) in enumerate(config)}
    return {
        "GIT_CONFIG_COUNT": str(len(config)),
        **keys,
        **{f"GIT_CONFIG_VALUE_{at}": v for at, (_, v) in enumerate(config)},
    }
