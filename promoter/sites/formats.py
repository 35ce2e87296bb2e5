"""The registry of formats: where image references live, in the order in which they are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.sites import (
    anywhere,
    argocd,
    flux,
    image_string,
    kustomize,
    parameters,
    split,
    tekton,
    watched,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from promoter.sites.model import ManifestFile, Site


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
