"""What a release has lost since the last one, and what that means for the next version."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.version import Version

from releasekit.core.artifacts.differences import allows_breaking, find_losses, rate_losses
from releasekit.core.artifacts.package_facts import (
    PackageFacts,
    public_modules,
    source_facts,
    wheel_facts,
)
from releasekit.core.config.settings import VerifyWaiver
from releasekit.core.errors import ErrorCode

FILES = {
    "shop/__init__.py": 900,
    "shop/cart.py": 5000,
    "shop/tax/__init__.py": 10,
    "shop/tax/vat.py": 700,
}


def facts_of(*gone: str, **fields: Any) -> PackageFacts:
    """Return the facts of the shop, without the files *gone* and with other *fields*."""
    files = {**FILES, **fields.pop("files", {})}
    return PackageFacts({path: size for path, size in files.items() if path not in gone}, **fields)


def losses_of(
    before: PackageFacts, after: PackageFacts, sources: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return the text of each loss by its rule."""
    return {str(loss.rule): loss.text for loss in find_losses(before, after, sources)}


@pytest.mark.parametrize(
    ("before", "after", "rule", "text"),
    [
        (
            facts_of(),
            facts_of("shop/cart.py"),
            ErrorCode.VERIFY_LOST_IMPORT,
            "shop.cart can no longer be imported",
        ),
        (
            facts_of(),
            facts_of("shop/tax/__init__.py", "shop/tax/vat.py"),
            ErrorCode.VERIFY_LOST_IMPORT,
            "shop.tax can no longer be imported, nor 1 module below it",
        ),
        (
            facts_of(scripts=frozenset({"shop", "till"})),
            facts_of(scripts=frozenset({"shop"})),
            ErrorCode.VERIFY_LOST_SCRIPT,
            "the command till is gone",
        ),
        (
            facts_of(entry_points=frozenset({"shop.cards: visa"})),
            facts_of(),
            ErrorCode.VERIFY_LOST_ENTRY_POINT,
            "the entry point shop.cards: visa is gone",
        ),
        (
            facts_of(extras=frozenset({"fast"})),
            facts_of(),
            ErrorCode.VERIFY_LOST_EXTRA,
            "the extra fast is gone",
        ),
        (
            facts_of(files={"shop/py.typed": 0}),
            facts_of(),
            ErrorCode.VERIFY_LOST_TYPES,
            "shop/py.typed is gone, so type checkers ignore the types",
        ),
        (
            facts_of(requires_python=">=3.10"),
            facts_of(requires_python=">=3.12"),
            ErrorCode.VERIFY_RAISED_PYTHON,
            "it no longer supports Python 3.10, 3.11: >=3.10 becomes >=3.12",
        ),
        (
            facts_of(files={"shop/rates.json": 80}),
            facts_of(),
            ErrorCode.VERIFY_LOST_FILES,
            "1 file of 5 gone: shop/rates.json",
        ),
        (
            facts_of(files={"shop/__init__.py": 90_000}),
            facts_of(),
            ErrorCode.VERIFY_LOST_BYTES,
            "the files have 6,610 bytes, after 95,710",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, ErrorCode) else "",
)
def test_each_loss_has_its_rule(
    before: PackageFacts, after: PackageFacts, rule: ErrorCode, text: str
) -> None:
    """One thing is lost, and exactly one rule says so."""
    assert losses_of(before, after) == {rule: text}
    assert losses_of(after, after) == {}


def test_gains_are_no_losses() -> None:
    """Whatever a release adds, it has lost nothing."""
    richer = facts_of(
        files={"shop/new.py": 1},
        scripts=frozenset({"shop"}),
        extras=frozenset({"fast"}),
        requires_python=">=3.8",
    )

    assert find_losses(facts_of(requires_python=">=3.10"), richer) == ()


def test_module_may_become_package() -> None:
    """A module that becomes a package, or an extension module, can still be imported."""
    as_package = facts_of("shop/cart.py", files={"shop/cart/__init__.py": 5000})
    as_extension = facts_of(
        "shop/cart.py", files={"shop/cart.cpython-312-x86_64-linux-gnu.so": 5000}
    )

    assert losses_of(facts_of(), as_package) == {}
    assert losses_of(facts_of(), as_extension) == {}


def test_most_files_lost_is_a_fault() -> None:
    """A fix that drops nearly all modules stops, whatever the version is."""
    many = {f"shop/part_{number}.py": 100 for number in range(200)}
    losses = find_losses(PackageFacts(many), PackageFacts({"shop/part_0.py": 100}))
    faults = [loss for loss in losses if loss.is_fault]

    assert [loss.rule for loss in faults] == [
        ErrorCode.VERIFY_LOST_FILES,
        ErrorCode.VERIFY_LOST_BYTES,
    ]
    assert faults[0].text.startswith("199 of 200 files are gone: shop/part_1.py, ")


def test_file_left_out_is_a_fault() -> None:
    """A file that the sdist has and the wheel has lost was not deleted: the build leaves it out."""
    before = facts_of(files={"shop/rates.json": 80, "shop/_old.py": 5})
    losses = find_losses(before, facts_of(), ("src/shop/rates.json", "src/shop/cart.py"))

    assert [(loss.text, loss.is_fault) for loss in losses] == [
        ("shop/rates.json: in the source, but no longer in the wheel", True),
        ("1 file of 6 gone: shop/_old.py", False),
    ]


@pytest.mark.parametrize(
    ("since", "target", "allowed"),
    [
        ("1.2.3", "1.2.4", False),
        ("1.2.3", "1.3.0", False),
        ("1.2.3", "2.0.0", True),
        ("1.2.3", "2.0.0rc1", True),
        ("1.2.3", "1.3.0rc1", False),
        ("0.2.3", "0.2.4", False),
        ("0.2.3", "0.3.0", True),
        ("0.2.3", "1.0.0", True),
        ("2.0.0rc1", "2.0.0rc2", True),
        ("1.2.3", "1!1.0.0", True),
    ],
)
def test_some_versions_may_break(since: str, target: str, allowed: bool) -> None:
    """A major version may break users, on 0.x a minor one too, and nobody relies on a prerelease."""
    assert allows_breaking(Version(since), Version(target)) is allowed


def test_version_decides_what_stops() -> None:
    """A lost module stops a fix; in a major release it is a note. A lost file is a warning, and then a note."""
    losses = find_losses(facts_of(files={"shop/a.txt": 1}), facts_of("shop/cart.py"))

    def severities(target: str) -> list[str]:
        return [
            row.severity for row in rate_losses("shop", Version("1.0"), Version(target), losses)
        ]

    assert severities("1.0.1") == ["error", "warning"]
    assert severities("2.0") == ["note", "note"]


def test_waiver_names_rule_and_package() -> None:
    """A waiver covers its rule in its packages, and gives the reason."""
    losses = find_losses(facts_of(), facts_of("shop/cart.py"))

    def rate(rule: str, package: str) -> tuple[str, bool]:
        waiver = VerifyWaiver(rule=rule, package=package, reason="nobody uses it")
        (row,) = rate_losses("shop", Version("1.0"), Version("1.0.1"), losses, [waiver])
        return row.waived, row.stops

    assert rate("LOST-IMPORT", "shop") == ("nobody uses it", False)
    assert rate("RK-VERIFY-LOST-IMPORT", "SH*") == ("nobody uses it", False)
    assert rate("lost_import", "*") == ("nobody uses it", False)
    assert rate("LOST-EXTRA", "shop") == ("", True)
    assert rate("LOST-IMPORT", "shop-web") == ("", True)


def test_public_modules_have_public_names() -> None:
    """Private names, tests, data directories and metadata are nothing that others import."""
    files = [
        *FILES,
        "shop/_impl.py",
        "shop/_impl/deep.py",
        "shop/tests/test_cart.py",
        "shop/conftest.py",
        "shop-1.0.data/scripts/run.py",
        "shop/not-a-name.py",
        "shop/fast.cpython-312-darwin.so",
    ]

    assert public_modules(files) == {"shop", "shop.cart", "shop.tax", "shop.tax.vat", "shop.fast"}


def test_wheel_facts_read_metadata() -> None:
    """Scripts and other entry points are told apart, and the metadata is no file of the package."""
    files = {**FILES, "shop-1.0.dist-info/METADATA": 300}
    metadata = (
        "Metadata-Version: 2.4\nName: shop\nProvides-Extra: Fast_Path\nRequires-Python: >=3.11\n"
    )
    entry_points = "[console_scripts]\nShop = shop:main\n[gui_scripts]\ntill = shop:till\n[shop.cards]\nvisa = shop:V\n"

    facts = wheel_facts(files, metadata, entry_points)

    assert facts == PackageFacts(
        files=FILES,
        scripts=frozenset({"Shop", "till"}),
        entry_points=frozenset({"shop.cards: visa"}),
        extras=frozenset({"fast-path"}),
        requires_python=">=3.11",
    )
    assert wheel_facts(files, "", "[broken").scripts == frozenset()


@pytest.mark.parametrize(
    ("files", "document", "installed"),
    [
        (
            ("src/shop/a.py", "src/shop/b.txt", "tests/test_a.py", "README.md"),
            {},
            {"shop/a.py", "shop/b.txt"},
        ),
        (("shop/a.py", "docs/conf.py", "setup.py", "shop.py"), {}, {"shop/a.py", "shop.py"}),
        (
            ("lib/shop/a.py", "shop/x.py"),
            {"tool": {"uv": {"build-backend": {"module-root": "lib"}}}},
            {"shop/a.py"},
        ),
        (
            ("shop/a.py",),
            {"tool": {"uv": {"build-backend": {"module-root": ""}}}},
            {"shop/a.py"},
        ),
        (
            ("src/shop/a.py", "src/shop/a.sql", "src/shop/old/b.sql", "src/shop/old/c.py"),
            {
                "tool": {
                    "hatch": {
                        "build": {
                            "exclude": ["*.sql"],
                            "targets": {"wheel": {"exclude": ["/src/shop/old/"]}},
                        }
                    }
                }
            },
            {"shop/a.py"},
        ),
        (
            ("src/shop/a.py", "src/shop/deep/er/b.txt", "src/shop/b.txt"),
            {
                "tool": {
                    "uv": {
                        "build-backend": {
                            "wheel-exclude": ["shop/**/b.txt"],
                            "source-exclude": "no list",
                        }
                    }
                }
            },
            {"shop/a.py"},
        ),
    ],
)
def test_source_layouts_are_known(
    files: tuple[str, ...], document: dict[str, Any], installed: set[str]
) -> None:
    """The files of the import packages count, wherever they are, and what is beside them does not."""
    facts = source_facts(dict.fromkeys(files, 1), {"name": "Shop"}, document)

    assert set(facts.files) == installed
