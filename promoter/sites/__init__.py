"""Where image references live: one small module per format, and this registry of them."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter.sites import (
    anywhere,
    argocd,
    embedded,
    flux,
    image_string,
    kustomize,
    markers,
    parameters,
    sops,
    split,
    tekton,
    watched,
)
from promoter.sites.model import walk
from promoter.yamltext import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from promoter.sites.model import ManifestFile, Place, Site


def _nothing(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:  # noqa: ARG001 - a format's signature
    return iter(())


@dataclass(frozen=True, slots=True)
class Format:
    """One format: ``find`` yields its sites in a file and adds the scalars it explains to the set.

    ``summary`` says where its sites stand, ``moves`` what an edit writes; ``example`` is one in YAML.
    """

    name: str
    summary: str
    moves: str
    example: str
    find: Callable[[ManifestFile, set[int]], Iterator[Site]] = _nothing


# In this order: what an earlier format explains, a later one leaves alone.
FORMATS = (
    Format(
        "watched",
        "The images that updaters watch: Flux's `ImageRepository`, Kargo's `Warehouse`, Argo CD Image "
        "Updater's `ImageUpdater` and annotations. Not deployed, so no site.",
        "nothing",
        """\
kind: ImageRepository
apiVersion: image.toolkit.fluxcd.io/v1
spec:
  image: ghcr.io/acme/api
""",
        watched.find,
    ),
    Format(
        "kustomize",
        "`images[]` of `kustomization.yaml`, `kustomization.yml` and `Kustomization`, Components too, "
        "matched by `newName`, else by `name`. An entry sees the names that those before it wrote, and the "
        "last one that sets a version wins.",
        "`newTag`, `digest`",
        """\
images:
  - name: api
    newName: ghcr.io/acme/api
    newTag: 1.4.2
""",
        kustomize.find,
    ),
    Format(
        "flux",
        "`images[]` of a Flux Kustomization and of a HelmRelease's post-renderers, values of "
        "`postBuild.substitute` and of the ConfigMaps that `postBuild.substituteFrom` names, `ref` of an "
        "OCIRepository by its `oci://` URL.",
        "`newTag`, `digest`; the value; `ref.tag`, `ref.digest`",
        """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
spec:
  images:
    - {name: ghcr.io/acme/api, newTag: 1.4.2}
  postBuild:
    substitute:
      worker_image: ghcr.io/acme/worker:2.0.1
""",
        flux.find,
    ),
    Format(
        "argocd",
        "`kustomize.images` of an Argo CD Application or ApplicationSet, and of `.argocd-source*.yaml`: "
        "`[old=]name[:tag][@digest]`.",
        "the tag, and the digest where one stands",
        """\
kind: Application
spec:
  source:
    kustomize:
      images:
        - api=ghcr.io/acme/api:1.4.2
""",
        argocd.find,
    ),
    Format(
        "tekton",
        "A Tekton bundle: `taskRef.bundle`, or the parameter of the bundles resolver.",
        "the tag, and the digest where one stands",
        """\
taskRef:
  resolver: bundles
  params:
    - {name: bundle, value: "ghcr.io/acme/tasks:1.4.2"}
""",
        tekton.find,
    ),
    Format(
        "parameters",
        "Lists of `{name, value}` pairs: Argo CD's `helm.parameters`, helmfile's `set`, `params` and "
        "`parameters` of Tekton and Argo Workflows. Names with the same beginning belong together: "
        "`image.repository` and `image.tag`, `apiImage` and `apiImageTag`. Operations of JSON patches "
        "(RFC 6902), in kustomize's and Flux's `patches` too, whose `path` speaks of an image.",
        "the pair that holds the tag, the digest or the whole reference; the operation's `value`",
        """\
parameters:
  - {name: image.repository, value: ghcr.io/acme/api}
  - {name: image.tag, value: 1.4.2}
""",
        parameters.find,
    ),
    Format(
        "split",
        "A name and its version in keys beside each other: `repository` (or `image`, `imageRepository`, "
        "`repo`) with `tag` (`imageTag`, `version`) and `digest` (`imageDigest`, `sha`), with or without "
        "`registry`, at any depth; `apiImage` goes with `apiImageTag`. `global.imageRegistry` counts, and "
        "so do defaults: `tag: ${TAG:-1.4.2}`.",
        "`tag`, `digest`; a digest behind an `@` in the tag stays there",
        """\
image:
  registry: ghcr.io
  repository: acme/api
  tag: 1.4.2
""",
        split.find,
    ),
    Format(
        "image",
        "Any other string that is one whole reference, under a key that speaks of an image, or whose "
        "parent key does; defaults of variables too.",
        "the tag, and the digest where one stands",
        """\
services:
  api:
    image: ${API_IMAGE:-ghcr.io/acme/api:1.4.2}
""",
        image_string.find,
    ),
)
# With `--match anywhere`.
EVERYWHERE = (
    *FORMATS,
    Format(
        "anywhere",
        "With `--match anywhere`: a reference in any other string, or in a piece of it: arguments, "
        "variables, annotations.",
        "the tag, and the digest where one stands",
        """\
args:
  - --sidecar-image=ghcr.io/acme/api:1.4.2
""",
        anywhere.find,
    ),
)
# Names that sites bear besides: what `image` finds in containers, and what something outside the file
# or its values tells: a base file, a comment, the configuration.
NAMED_OTHERWISE = (
    Format(
        "container",
        "`image` of an item of `containers`, `initContainers` or `ephemeralContainers`, at any depth, in "
        "any kind and custom resource. What kustomize's `images[]` rewrite.",
        "the tag, and the digest where one stands",
        """\
containers:
  - name: api
    image: ghcr.io/acme/api:1.4.2
""",
    ),
    Format(
        "values",
        "A values file that holds only a tag or digest, where `values.yaml` beside it, of its chart, or of "
        "the directory above names the image at the same place.",
        "`tag`, `digest`",
        """\
# values-staging.yaml; values.yaml has image.repository
image:
  tag: 1.4.2
""",
    ),
    Format(
        "marker",
        "A value with a Flux `$imagepolicy` comment that no other format explains. `--marker NS:NAME` moves "
        "it whatever image it holds.",
        "what the marker says: the whole reference, `tag`, `digest`, `name`",
        """\
version: 1.4.2 # {"$imagepolicy": "flux-system:api:tag"}
""",
    ),
    Format(
        "target",
        "What `targets` in the configuration names, in a file of any name. `promoter scan` shows them where "
        "the configuration stands in what it scans.",
        "the keys that it names",
        """\
# targets: [{image: "ghcr.io/acme/{app}", file: "{environment}/{app}.yaml", tag: version}]
version: 1.4.2
""",
    ),
)

LINE_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")  # as libyaml counts lines
MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")


def is_manifest_name(path: str) -> bool:
    """Whether a file of this name is read for sites when nothing configures it."""
    return path.lower().endswith(MANIFEST_SUFFIXES) or kustomize.is_kustomization(path)


def find_sites(
    file: ManifestFile, level: int = 0, more: Iterable[Site] = (), formats: tuple[Format, ...] = FORMATS
) -> list[Site]:
    """Every site of the file in file order, whatever its image; those in embedded documents too.

    ``more`` are sites of the file that only other files explain; ``formats`` are those
    that are looked for.
    """
    found, _ = _claim(file, formats)
    found = markers.mark(file, with_shares([*found, *more]))
    for place, scalar, inner in embedded.documents(file) if level < embedded.MAX_LEVELS else ():
        found += [_embed(site, place, scalar) for site in find_sites(inner, level + 1, formats=formats)]
    return sorted(sops.guard(file, found), key=lambda site: (site.line, site.where))


def explained_lines(file: ManifestFile, formats: tuple[Format, ...] = FORMATS, level: int = 0) -> set[int]:
    """The lines of all values that a format explains, the names beside versions too."""
    _, claimed = _claim(file, formats)
    scalars = [place.node for place in walk(file) if isinstance(place.node, Scalar)]
    explained = [scalar for scalar in scalars if scalar.event in claimed]
    lines = {line for scalar in explained for line in lines_of(scalar, file.text)}
    for _, scalar, inner in embedded.documents(file) if level < embedded.MAX_LEVELS else ():
        within = explained_lines(inner, formats, level + 1)
        lines.update(embedded.line_within(scalar, line) for line in within)
    return lines


def lines_of(scalar: Scalar, text: str) -> range:
    """The lines that a scalar is written on."""
    more = len(LINE_BREAK.findall(text[scalar.start : scalar.end].rstrip()))
    return range(scalar.line, scalar.line + more + 1)


def _claim(file: ManifestFile, formats: tuple[Format, ...]) -> tuple[list[Site], set[int]]:
    """The sites of the formats in the file itself, and the scalars that these explain."""
    claimed: set[int] = set()
    found: list[Site] = []
    for form in formats:
        for site in form.find(file, claimed):
            claimed.update(part.scalar.event for part in site.parts)
            found.append(site)
    return found, claimed


def _embed(site: Site, place: Place, scalar: Scalar) -> Site:
    """A site of an embedded document as a site of the file around it."""
    return replace(
        site,
        line=embedded.line_within(scalar, site.line),
        where=f"{place.where}|{site.where}",
        within=(scalar, *site.within),
    )


def with_shares(sites: Iterable[Site]) -> list[Site]:
    """The sites of one file, each with the other images that use one of its scalars by an alias."""
    listed = list(sites)
    names: dict[int, set[str]] = defaultdict(set)
    for site in listed:
        for part in site.parts:
            names[part.scalar.event].add(site.reference.name)
    return [
        replace(
            site,
            shares=tuple(
                sorted(
                    {name for part in site.parts for name in names[part.scalar.event]} - {site.reference.name}
                )
            ),
        )
        for site in listed
    ]
