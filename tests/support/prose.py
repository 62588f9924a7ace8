"""An issue in prose for the stand-in project, and an editor that is a command and does as its script says."""

import json
import sys
from pathlib import Path

from tests.support.project import ROOT, commit

PROSE = 5
BODY = """Replace the relu-squared MLP by SwiGLU at equal parameters; try two widths.

```yaml
# autoresearch
variants: 2
```
"""

# An editor: it reads its prompt, and its n-th call in the folder of its state makes the n-th change (the last, again).
EDITOR = """
import json, pathlib, sys
state, changes = pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text())
done = len(list(state.glob("prompt-*")))
(state / f"prompt-{done}").write_text(sys.stdin.read())
old, new, said = changes[min(done, len(changes) - 1)]
script = pathlib.Path("train.py")
text = script.read_text()
assert old in text, old
script.write_text(text.replace(old, new, 1))
print(said)
"""


def prose_issue(project: Path, body: str = BODY, number: int = PROSE) -> None:
    """Add the issue and the real program.md to a project, and commit them."""
    header = f"---\nnumber: {number}\ntitle: A better MLP\nlabels: [experiment]\n---\n"
    (project / "experiments" / "issues" / f"{number:04d}-better.md").write_text(header + body)
    (project / "program.md").write_bytes((ROOT / "program.md").read_bytes())
    commit(project, "An issue in prose")


def editor(folder: Path, changes: list[tuple[str, str, str]]) -> str:
    """The --editor command that makes these changes one after the other: old text, new text, last line."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "editor.py").write_text(EDITOR)
    (folder / "changes.json").write_text(json.dumps(changes))
    return f"{sys.executable} {folder / 'editor.py'} {folder} {folder / 'changes.json'}"


def prompts(folder: Path) -> list[str]:
    """What the editor was told, call by call."""
    return [path.read_text() for path in sorted(folder.glob("prompt-*"), key=lambda p: int(p.name.split("-")[1]))]
