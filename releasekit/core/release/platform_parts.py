"""The parts of a staged release, one for each platform: put them together, and find what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from releasekit.core.config.platforms import is_all
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.picking import by_name, pick_named, true_keys
from releasekit.core.text import join_texts, list_names, summarize
from releasekit.core.workspace.wheel_tags import foreign_wheels, missing_wheels, runs_on

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage, ReleaseManifest


@dataclass(frozen=True, slots=True)
class StagedPart:
    """A staged release, or its part for one platform, as *location* has it."""

    location: str
    manifest: ReleaseManifest
    plan: Plan


def merge_parts(parts: Sequence[StagedPart]) -> ReleaseManifest:
    """Return the manifest of the release whose parts are *parts*: one without a platform, and one for each platform.

    Raises Refusal RK-PARTS-DIFFER, RK-PLATFORM-MISSING, RK-WHEEL-TAG.
    """
    bases = [part for part in parts if not part.manifest.platform]
    if len(bases) != 1:
        listed = list_names(part.location for part in bases)
        message = f"one directory must have the release that was staged without --platform; these have it: {listed}"
        raise Refusal(ErrorCode.PARTS_DIFFER, message)
    (base,) = bases
    others = [part for part in parts if part is not base]
    for part in others:
        _refuse_another_release(base, part)
        _refuse_foreign_wheels(part)
    packages = tuple(_merge_package(package, others) for package in base.manifest.packages)
    missing = missing_platforms(base.plan, packages)
    if missing:
        raise platforms_missing_error(missing)
    return base.manifest.model_copy(update={"packages": packages, "plan": base.plan})


def _refuse_another_release(base: StagedPart, part: StagedPart) -> None:
    ours, theirs = base.manifest, part.manifest
    differences = {
        "the release": ours.release != theirs.release,
        "the release commit": ours.release_commit != theirs.release_commit,
        "the plan": base.plan != part.plan,
    }
    different = next(true_keys(differences), "")
    if different:
        raise Refusal(
            ErrorCode.PARTS_DIFFER, f"{different} is not that of {base.location}", part.location
        )


def _refuse_foreign_wheels(part: StagedPart) -> None:
    names = [name for package in part.manifest.packages for name in package.wheel_names]
    foreign = foreign_wheels(names, part.manifest.platform)
    if foreign:
        message = f"{summarize(foreign)}: not for {part.manifest.platform}"
        raise Refusal(ErrorCode.WHEEL_TAG, message, part.location)


def _merge_package(package: BuiltPackage, parts: Iterable[StagedPart]) -> BuiltPackage:
    for part in parts:
        for other in pick_named(part.manifest.packages, (package.name,)):
            package = with_wheels(package, other, part.location)
    return package


def with_wheels(package: BuiltPackage, other: BuiltPackage, location: str) -> BuiltPackage:
    """Return *package* with the wheels that *other* has; *location* says where these are.

    Raises Refusal RK-PARTS-DIFFER if both have a file of one name with different content.
    """
    files: dict[str, BuiltFile] = by_name(package.files)
    for file in other.files:
        known = files.setdefault(file.name, file)
        if known != file:
            message = f"{file.name} has another content than elsewhere: its sha256 is {file.sha256}, not {known.sha256}"
            raise Refusal(ErrorCode.PARTS_DIFFER, message, location)
    update = {
        "files": tuple(sorted(files.values(), key=lambda file: file.name)),
        "imports": _union(package.imports, other.imports),
        "extras": _union(package.extras, other.extras),
        "platforms": {**package.platforms, **other.platforms},
    }
    return package.model_copy(update=update)


def _union(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*first, *second}))


def missing_platforms(plan: Plan, packages: Iterable[BuiltPackage]) -> dict[str, tuple[str, ...]]:
    """Return by package the platforms of the plan whose wheels the built *packages* do not have."""
    built = {package.name: package.platforms for package in packages}
    missing: dict[str, tuple[str, ...]] = {}
    for step in plan.steps:
        platforms = tuple(name for name in step.platforms if not built.get(step.name, {}).get(name))
        if platforms:
            missing[step.name] = platforms
    return missing


def platforms_missing_error(missing: Mapping[str, Sequence[str]]) -> Refusal:
    """Return the refusal of a release in which the wheels of the platforms *missing*, by package, are not there."""
    texts = [f"{name} ({', '.join(platforms)})" for name, platforms in missing.items()]
    return Refusal(ErrorCode.PLATFORM_MISSING, f"wheels are missing: {summarize(texts)}")


def refusal_of_workers(settings: Settings, *, rehearse: bool) -> str:
    """Return why no Prefect worker can build wheels, as far as options and settings say; empty if one may."""
    reasons = {
        "they cannot clone the throwaway repository of a rehearsal": rehearse,
        'record = "never", so no Prefect server records this release': settings.record == "never",
        "stage_storage is not set": not settings.stage_storage,
        "push is off, so workers cannot fetch the release commit": not settings.push,
    }
    return next(true_keys(reasons), "")


def platform_outline(plan: Plan, settings: Settings, *, stage_only: bool) -> Iterator[str]:
    """Yield who builds the wheels of each platform, and what prevents that; for a dry run."""
    for platform in plan.platforms:
        names = [step.name for step in plan.steps if platform in step.platforms]
        workers = f"workers of the queue {queue_of(settings, platform)}"
        builder = f"`publish --stage-only --platform {platform}`" if stage_only else workers
        yield f"the wheels of {', '.join(names)} for {platform} are built by {builder}"
    reason = "" if stage_only else refusal_of_workers(settings, rehearse=False)
    if plan.platforms and reason:
        yield f"the release is refused: workers cannot build these wheels: {reason}"


def queue_of(settings: Settings, platform: str) -> str:
    """Return the work queue whose workers build the wheels of *platform*."""
    return settings.platform_table[platform].queue or platform


def waiting_text(wait: WorkerWait) -> str:
    """Return what to tell somebody whose release waits for a worker, as Markdown."""
    reason = "whose workers are busy" if wait.has_workers else "which no worker asks for work"
    return (
        f"the wheels for {wait.platform} wait for the queue {wait.queue} of the work pool {wait.pool}, {reason} "
        f"(flow run {wait.run} of {wait.deployment}). Start a worker on a machine of this platform: "
        f"`prefect worker start --pool {wait.pool} --work-queue {wait.queue}`"
    )


@dataclass(frozen=True, slots=True)
class WorkerWait:
    """A flow *run* of the *deployment* that no worker has taken yet. *has_workers*: some ask its queue for work."""

    platform: str
    queue: str
    pool: str
    deployment: str
    run: str
    has_workers: bool


def worker_error(message: str, location: str, output: str) -> ReleaseError:
    """Return the error of a worker that has not built its wheels, with the *output* of its run and its first line."""
    reason = output.strip().partition("\n")[0]
    full_message = join_texts(": ", message, reason)
    return ReleaseError(ErrorCode.STAGE_ON_FAILED, full_message, location, output=output)


def first_worker_error(errors: Sequence[BaseException]) -> BaseException:
    """Return the first of the *errors* of several workers; it also says what the others say."""
    first, *others = errors
    also = [str(error) for error in others if isinstance(error, ReleaseError)]
    if not isinstance(first, ReleaseError) or not also:
        return first
    output = "\n\n".join([first.output, *also]).strip()
    return ReleaseError(first.code, first.message, first.location, first.hint, output=output)


def fewer_wheels_error(
    before: Mapping[str, Sequence[str]], packages: Iterable[BuiltPackage], allowed: Sequence[str]
) -> Refusal | None:
    """Return the refusal of *packages* that lack wheels which the files *before*, their last release, had.

    Packages that match the names or patterns *allowed* may lack them. None if there is nothing to refuse.
    """
    missing = [
        name
        for package in packages
        if not _is_allowed(package.name, allowed)
        for name in missing_wheels(before.get(package.name, ()), package.wheel_names)
    ]
    if not missing:
        return None
    return Refusal(
        ErrorCode.WHEELS_MISSING,
        f"nothing replaces these wheels of the last release: {summarize(missing)}",
    )


def _is_allowed(name: str, patterns: Sequence[str]) -> bool:
    return is_all(patterns) or any(fnmatchcase(name, pattern) for pattern in patterns)


def provable_packages(
    plan: Plan, packages: Sequence[BuiltPackage], machine_tags: Collection[str]
) -> tuple[BuiltPackage, ...]:
    """Return those built *packages* that can be installed on a machine with these platform tags.

    A package needs a wheel for it, and so does each package of the release that its installation brings.
    """
    installable = {package.name for package in packages if _has_wheel(package, machine_tags)}
    provable = {name for name in installable if installable.issuperset(plan.install_closure(name))}
    return tuple(pick_named(packages, provable))


def _has_wheel(package: BuiltPackage, machine_tags: Collection[str]) -> bool:
    return any(runs_on(name, machine_tags) for name in package.wheel_names)


def split_jobs(plan: Plan, platform: str, size: int) -> Iterator[tuple[str, ...]]:
    """Yield the names of the packages whose wheels *platform* builds, at most *size* at a time."""
    names = [step.name for step in plan.steps if platform in step.platforms]
    for start in range(0, len(names), size):
        yield tuple(names[start : start + size])
