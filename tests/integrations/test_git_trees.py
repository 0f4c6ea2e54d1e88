"""What a directory of a commit has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.integrations.git import Repo
from releasekit.integrations.git_trees import list_tree

if TYPE_CHECKING:
    from tests.support.git_scene import GitScene


def test_missing_content_hides_no_file(scene: GitScene) -> None:
    """A file whose content is not in this repository, as in a damaged clone, is listed all the same."""
    scene.commit("feat: files", {"lost.txt": "lost", "kept.txt": "kept", "more/b.txt": "b"})
    blob = scene.git("rev-parse", "HEAD:lost.txt")
    (scene.top / ".git" / "objects" / blob[:2] / blob[2:]).unlink()

    sizes = list_tree(Repo(scene.top), "HEAD")

    assert (sizes["lost.txt"], sizes["kept.txt"], sizes["more/b.txt"]) == (0, 4, 1)
