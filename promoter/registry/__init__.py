"""Container registries, asked where the caller wants it: for digests, platforms and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.deadline import Deadline
from promoter.errors import ConfigError, DeadlineError, DeniedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from promoter.image import ImageReference
    from promoter.registry.client import RegistryClient
    from promoter.registry.manifest import RegistryImage

_LOOK_SECONDS = 10.0


def look_up(
    images: Sequence[ImageReference],
    *,
    platforms: Callable[[ImageReference], tuple[str, ...]],
    environ: Mapping[str, str],
    deadline: Deadline,
    verbose: Callable[[str], None],
) -> dict[ImageReference, RegistryImage]:
    """Each image as its registry has it, for all the platforms that it must have.

    A reference with a tag is looked up by that, whatever digest it has besides.

    Raises:
        NotFoundError: ``image-missing`` or ``platform-missing``.
        ConfigError: Docker's configuration, where credentials are, cannot be read.
        DeniedError: a credential is missing, not accepted, or may not do it.
        UnreachableError, DeadlineError: a registry cannot be reached, is none, or not in time.
    """
    from promoter.registry.lookup import look_up_one

    clients: dict[str, RegistryClient] = {}
    found: dict[ImageReference, RegistryImage] = {}
    try:
        for image in images:
            registry = image.key[0]
            if registry not in clients:
                clients[registry] = _client(image, environ, deadline, verbose)
            verbose(f"asking {clients[registry].address.origin} for {image}")
            found[image] = look_up_one(clients[registry], image, platforms(image))
    finally:
        for client in clients.values():
            client.close()
    return found


def exists(
    image: ImageReference,
    environ: Mapping[str, str],
    deadline: Deadline,
    verbose: Callable[[str], None],
    *,
    only_with_credentials: bool,
) -> bool | None:
    """Whether the registry has the image; None where that cannot be known within ten seconds.

    With ``only_with_credentials`` a registry that the caller has no credential for is not asked.
    """
    from promoter.registry.lookup import is_there

    soon = Deadline(min(_LOOK_SECONDS, deadline.remaining()))
    client = _client(image, environ, soon, verbose)
    try:
        if only_with_credentials and client.credential() is None:
            return None
        return is_there(client, image)
    except (ConfigError, DeniedError, DeadlineError, UnreachableError) as error:
        verbose(f"whether {image} exists is not known: {error.message}")
        return None
    finally:
        client.close()


def _client(
    image: ImageReference,
    environ: Mapping[str, str],
    deadline: Deadline,
    verbose: Callable[[str], None],
) -> RegistryClient:
    from promoter.registry.address import address_of
    from promoter.registry.client import RegistryClient  # requests costs more than all the rest

    return RegistryClient(address_of(image), environ, deadline, verbose)
