"""What people really keep in a container registry: one of each shape, in OCI's and in Docker's form.

Each shape is one image in the sense of the contract: a root, and everything that belongs to it. The documents are
written as the tools write them, fields that they leave out included.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from .images import (
    BUNDLE,
    CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    EMPTY,
    EMPTY_LAYER,
    END_OF_TAR,
    INDEX,
    LAYER,
    MANIFEST,
    blob,
    encoded,
)

if TYPE_CHECKING:
    from .clock import Moment
    from .packages import Package, Version

DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
NOBODY_KNOWS = "application/vnd.example.unheard-of.v9+json"
PLATFORMS = ("amd64", "arm64")

Document = dict[str, Any]


@dataclass(kw_only=True)
class Made:
    """One image: its root, all that belongs to it, and what of that only a `subject` tells."""

    package: Package
    seed: str
    created_at: Moment | None = None
    versions: list[Version] = field(default_factory=list)
    by_subject: list[Version] = field(default_factory=list)
    root: Version = field(init=False)
    """What carries the tags."""

    @property
    def parts(self) -> list[Version]:
        """Everything but the root."""
        return [version for version in self.versions if version is not self.root]

    def push(self, document: Document, media_type: str, tag: str | None = None) -> Version:
        """Push a manifest; the registry learns its media type from the request, whatever the document says."""
        version = self.package.push(encoded(document), media_type, tag, self.created_at)
        self.versions.append(version)
        return version

    def blob(self, about: str, media_type: str) -> Document:
        """Store a blob of its own, and describe it."""
        content = gzip.compress(END_OF_TAR + f"{self.seed} {about}".encode(), mtime=0)
        return blob(self.package, content, media_type)

    def base(self, *, docker: bool = False) -> Document:
        """Describe the layer that all images share."""
        return blob(self.package, EMPTY_LAYER, DOCKER_LAYER if docker else LAYER)

    def empty(self) -> Document:
        """Describe the empty configuration of artifacts."""
        return blob(self.package, b"{}", EMPTY)

    def absent(self, about: str) -> str:
        """Give the digest of something that was never pushed."""
        return "sha256:" + hashlib.sha256(f"{self.seed} {about}".encode()).hexdigest()

    def describe(self, version: Version, **more: Any) -> Document:
        """Describe a manifest that was pushed."""
        content, media_type = self.package.manifests[version.name]
        return {"mediaType": media_type, "digest": version.name, "size": len(content), **more}

    def manifest(self, about: str = "image", *, docker: bool = False, **more: Any) -> Version:
        """Push the manifest of a plain image."""
        media_type = DOCKER_MANIFEST if docker else MANIFEST
        document = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": self.blob(f"config of {about}", DOCKER_CONFIG if docker else CONFIG),
            "layers": [self.base(docker=docker), self.blob(about, DOCKER_LAYER if docker else LAYER)],
        }
        return self.push(document | more, media_type)

    def index(self, *children: Document, docker: bool = False, tag: str | None = None, **more: Any) -> Version:
        """Push an index."""
        media_type = DOCKER_LIST if docker else INDEX
        document = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(children)}
        return self.push(document | more, media_type, tag)

    def platforms(self, *, docker: bool = False) -> list[Document]:
        """Push one plain image for each platform, and describe them."""
        return [
            self.describe(self.manifest(each, docker=docker), platform={"os": "linux", "architecture": each})
            for each in PLATFORMS
        ]

    def artifact(self, config: Document, *layers: str, **more: Any) -> Version:
        """Push a manifest that is no image: a configuration and layers of kinds of their own."""
        described = [self.blob(f"layer {place}", each) for place, each in enumerate(layers)] or [self.empty()]
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described}
        return self.push(document | {"annotations": {"seed": self.seed}} | more, MANIFEST)

    def bundle(self, subject: Version, about: str = "bundle") -> Version:
        """Push what refers to another manifest by `subject`, as sigstore does."""
        notes = {"about": f"{self.seed} {about}"}
        described = self.describe(subject)
        made = self.artifact(self.empty(), BUNDLE, artifactType=BUNDLE, subject=described, annotations=notes)
        self.by_subject.append(made)
        return made

    def fallback(self, subject: Version, *listed: Version) -> Version:
        """Push the fallback index of a subject, under its tag; the one before it loses that."""
        tag = subject.name.replace(":", "-")
        if before := self.package.tagged(tag):
            self.by_subject.append(before)
        self.by_subject = [each for each in self.by_subject if each not in listed]
        return self.index(*(self.describe(each, artifactType=BUNDLE) for each in listed), tag=tag)


def single(made: Made, *, docker: bool = False) -> Version:
    """Make an image of one platform."""
    return made.manifest(docker=docker)


def multi_platform(made: Made, *, docker: bool = False) -> Version:
    """Make an image of several platforms."""
    return made.index(*made.platforms(docker=docker), docker=docker)


def attested(made: Made, *, as_artifacts: bool = False) -> Version:
    """Make an image with BuildKit's attestations; as artifacts they have a `subject`."""
    children = made.platforms()
    for child in list(children):
        notes = {"vnd.docker.reference.digest": child["digest"], "vnd.docker.reference.type": "attestation-manifest"}
        more: Document = {"layers": [made.blob(f"statement on {child['digest']}", "application/vnd.in-toto+json")]}
        if as_artifacts:
            subject = {name: child[name] for name in ("mediaType", "digest", "size")}
            more |= {"artifactType": "application/vnd.docker.attestation.manifest.v1+json", "subject": subject}
        attestation = made.manifest(f"attestation of {child['digest']}", **more)
        unknown = {"os": "unknown", "architecture": "unknown"}
        children.append(made.describe(attestation, platform=unknown, annotations=notes))
    return made.index(*children)


def nested(made: Made, *, docker: bool = False) -> Version:
    """Make an index of indexes."""
    inner = made.index(*made.platforms(docker=docker), docker=docker)
    beside = made.manifest("beside", docker=docker)
    return made.index(made.describe(inner), made.describe(beside), docker=docker)


def cache_index(made: Made, *, docker: bool = False) -> Version:
    """Make BuildKit's registry cache in its old default form: an index of layers and one configuration."""
    notes = {"buildkit/createdat": "2026-01-01T00:00:00Z", "containerd.io/uncompressed": made.absent("uncompressed")}
    types = (DOCKER_LAYER, DOCKER_LAYER) if docker else (LAYER, ZSTD_LAYER)
    layers = [made.blob(f"cached {place}", each) | {"annotations": notes} for place, each in enumerate(types)]
    return made.index(*layers, made.blob("cache", CACHE_CONFIG), docker=docker)


def cache_manifest(made: Made) -> Version:
    """Make the same in its new form, a manifest."""
    return made.artifact(made.blob("cache", CACHE_CONFIG), LAYER, ZSTD_LAYER)


def cache_beside_platforms(made: Made) -> Version:
    """Make an index of platforms and of layers."""
    return made.index(*made.platforms(), made.blob("cached", LAYER), made.blob("cache", CACHE_CONFIG))


def helm_chart(made: Made) -> Version:
    """Make a Helm chart, without `mediaType`, as Helm wrote them for years."""
    kinds = ("helm.chart.content.v1.tar+gzip", "helm.chart.provenance.v1.prov")
    document = {
        "schemaVersion": 2,
        "config": made.blob("chart", "application/vnd.cncf.helm.config.v1+json"),
        "layers": [made.blob(each, f"application/vnd.cncf.{each}") for each in kinds],
    }
    return made.push(document, MANIFEST)


def oras_artifact(made: Made, *layers: str) -> Version:
    """Make an artifact with the empty configuration, and with the empty layer where it has no other."""
    return made.artifact(made.empty(), *layers, artifactType="application/vnd.example.sbom")


def oras_index(made: Made) -> Version:
    """Make an index of artifacts, which have no platforms."""
    one = made.artifact(made.empty(), "text/plain", artifactType="text/plain")
    two = made.artifact(made.blob("two", "application/vnd.example.two"), "text/plain")
    return made.index(made.describe(one, artifactType="text/plain"), made.describe(two), artifactType="text/markdown")


def wasm(made: Made, config: str, layer: str) -> Version:
    """Make a WebAssembly module."""
    return made.artifact(made.blob("module", config), layer)


def flux(made: Made) -> Version:
    """Make Flux's sources."""
    config = made.blob("sources", "application/vnd.cncf.flux.config.v1+json")
    return made.artifact(config, "application/vnd.cncf.flux.content.v1.tar+gzip")


def homebrew_bottle(made: Made) -> Version:
    """Make a bottle of Homebrew: neither index nor manifests say what they are."""
    children = []
    for architecture in PLATFORMS:
        document = {
            "schemaVersion": 2,
            "config": made.blob(f"config of {architecture}", CONFIG),
            "layers": [made.blob(architecture, LAYER)],
            "annotations": {"org.opencontainers.image.ref.name": f"1.0.{architecture}"},
        }
        platform = {"architecture": architecture, "os": "darwin", "os.version": "macOS 14"}
        children.append(made.describe(made.push(document, MANIFEST), platform=platform))
    return made.push({"schemaVersion": 2, "manifests": children, "annotations": {"seed": made.seed}}, INDEX)


def devcontainer_feature(made: Made) -> Version:
    """Make a feature of development containers, whose configuration is empty but has a type."""
    config = blob(made.package, b"{}", "application/vnd.devcontainers")
    return made.artifact(config, "application/vnd.devcontainers.layer.v1+tar")


def spack_cache(made: Made) -> Version:
    """Make a package of a Spack build cache: an image with an annotation."""
    return made.manifest(annotations={"org.opencontainers.image.description": f"zlib {made.seed}"})


def soci_by_subject(made: Made) -> Version:
    """Make an image with a SOCI index of the first version, found by its subject and the fallback index."""
    image = made.manifest()
    config = made.blob("soci", "application/vnd.amazon.soci.index.v1+json")
    index = made.artifact(config, "application/octet-stream", subject=made.describe(image))
    made.index(made.describe(index, artifactType=config["mediaType"]), tag=image.name.replace(":", "-"))
    return image


def soci_beside(made: Made) -> Version:
    """Make an image with SOCI indexes of the second version, which stand beside the platforms."""
    children = made.platforms()
    kind = "application/vnd.amazon.soci.index.v2+json"
    for child in list(children):
        notes = {"com.amazon.soci.image-manifest-digest": child["digest"]}
        index = made.artifact(made.empty(), "application/octet-stream", artifactType=kind, annotations=notes)
        child["annotations"] = {"com.amazon.soci.index-digest": index.name}
        children.append(made.describe(index, artifactType=kind, platform=child["platform"], annotations=notes))
    return made.index(*children)


def bootc(made: Made) -> Version:
    """Make a bootable image, with layers compressed by chunks."""
    children = []
    for architecture in PLATFORMS:
        layers = [made.blob(f"{architecture} {place}", ZSTD_LAYER) for place in range(3)]
        labels = {"containers.bootc": "1", "ostree.bootable": "true"}
        version = made.manifest(architecture, layers=layers, annotations=labels)
        children.append(made.describe(version, platform={"os": "linux", "architecture": architecture}))
    return made.index(*children)


def cosign_tags(made: Made) -> Version:
    """Make an image with cosign's signature, attestation and SBOM of the index, and signatures of its platforms."""
    children = made.platforms()
    index = made.index(*children)
    for way in ("sig", "att", "sbom"):
        made.package.push(*_tagged(made, index.name, way))
    for child in children:
        made.package.push(*_tagged(made, child["digest"], "sig"))
    return index


def _tagged(made: Made, digest: str, way: str) -> tuple[bytes, str, str, Moment | None]:
    config = made.blob(f"{way} of {digest}", CONFIG)
    version = made.artifact(config, "application/vnd.dev.cosign.simplesigning.v1+json")
    content, media_type = made.package.manifests[version.name]
    return content, media_type, f"{digest.replace(':', '-')}.{way}", made.created_at


def cosign_bundles(made: Made) -> Version:
    """Make an image with cosign's bundles, of the index and of a platform, in fallback indexes."""
    children = made.platforms()
    index = made.index(*children)
    platform = made.versions[0]
    made.fallback(index, made.bundle(index, "signature"), made.bundle(index, "attestation"))
    made.fallback(platform, made.bundle(platform, "signature"))
    return index


def github_attestations(made: Made) -> Version:
    """Make an image that was attested twice: the fallback index was replaced, and the first one has no tag."""
    image = made.index(*made.platforms())
    first = made.bundle(image, "provenance")
    made.fallback(image, first)
    made.fallback(image, first, made.bundle(image, "SBOM"))
    return image


def referred_to(made: Made) -> Version:
    """Make an image with referrers that only their `subject` tells, one of them of a referrer."""
    image = made.index(*made.platforms())
    made.bundle(made.bundle(image, "statement"), "signature")
    return image


def referred_to_by_an_index(made: Made) -> Version:
    """Make an image with a referrer that is an index with a `subject`."""
    image = made.manifest()
    made.by_subject += [made.index(*made.platforms(), subject=made.describe(image))]
    made.by_subject += made.versions[1:3]
    return image


def index_without_media_type(made: Made, *, docker: bool = False) -> Version:
    """Make an index that does not say what it is."""
    document = {"schemaVersion": 2, "manifests": made.platforms(docker=docker)}
    return made.push(document, INDEX)


def entries_without_media_type(made: Made) -> Version:
    """Make an index whose entries do not say what they are; one names something that is no version."""
    children = made.platforms()
    del children[0]["mediaType"]
    children[1]["mediaType"] = None
    return made.index(*children, {"digest": made.absent("entry"), "size": 1})


def unknown_entries(made: Made) -> Version:
    """Make an index with entries of types that nobody knows: one names a version, two name nothing."""
    named = made.describe(made.manifest("named")) | {"mediaType": NOBODY_KNOWS}
    absent = {"mediaType": NOBODY_KNOWS, "digest": made.absent("entry"), "size": 1}
    other = {"mediaType": NOBODY_KNOWS, "digest": f"sha512:{'a' * 128}", "size": 1}
    return made.index(*made.platforms(), named, absent, other)


def only_unknown_entries(made: Made) -> Version:
    """Make an index of nothing but entries whose types nobody knows."""
    return made.index(*({"mediaType": each, "digest": made.absent(each), "size": 1} for each in (NOBODY_KNOWS, "x/y")))


def unknown_contents(made: Made) -> Version:
    """Make a manifest of which nobody knows what it holds."""
    return made.artifact(made.blob("config", NOBODY_KNOWS), NOBODY_KNOWS, artifactType=NOBODY_KNOWS)


def schema_1_entry(made: Made) -> Version:
    """Make a list with an entry of Docker's first schema, which no registry has any more."""
    old = {"mediaType": SCHEMA_1, "digest": made.absent("schema 1"), "size": 1, "platform": {"os": "linux"}}
    return made.index(*made.platforms(docker=True), old, docker=True)


def empty_index(made: Made, *, docker: bool = False) -> Version:
    """Make an index of nothing."""
    return made.index(docker=docker, annotations={"seed": made.seed})


def listed_twice(made: Made) -> Version:
    """Make an index that lists one manifest for two platforms, as builds that differ in nothing do."""
    children = made.platforms()
    return made.index(*children, children[0] | {"platform": {"os": "linux", "architecture": "riscv64"}})


SHAPES: dict[str, Callable[[Made], Version]] = {
    "single": single,
    "single-docker": partial(single, docker=True),
    "multi-platform": multi_platform,
    "multi-platform-docker": partial(multi_platform, docker=True),
    "attested": attested,
    "attested-by-artifacts": partial(attested, as_artifacts=True),
    "nested": nested,
    "nested-docker": partial(nested, docker=True),
    "cache-index": cache_index,
    "cache-index-docker": partial(cache_index, docker=True),
    "cache-manifest": cache_manifest,
    "cache-beside-platforms": cache_beside_platforms,
    "helm-chart": helm_chart,
    "oras-artifact": lambda made: oras_artifact(made, "text/plain"),
    "oras-without-files": oras_artifact,
    "oras-index": oras_index,
    "wasm": partial(wasm, config="application/vnd.wasm.config.v0+json", layer="application/wasm"),
    "wasm-module": partial(
        wasm,
        config="application/vnd.module.wasm.config.v1+json",
        layer="application/vnd.module.wasm.content.layer.v1+wasm",
    ),
    "flux": flux,
    "homebrew-bottle": homebrew_bottle,
    "devcontainer-feature": devcontainer_feature,
    "spack-cache": spack_cache,
    "soci-by-subject": soci_by_subject,
    "soci-beside": soci_beside,
    "bootc": bootc,
    "cosign-tags": cosign_tags,
    "cosign-bundles": cosign_bundles,
    "github-attestations": github_attestations,
    "referred-to": referred_to,
    "referred-to-by-an-index": referred_to_by_an_index,
    "index-without-media-type": index_without_media_type,
    "index-without-media-type-docker": partial(index_without_media_type, docker=True),
    "entries-without-media-type": entries_without_media_type,
    "unknown-entries": unknown_entries,
    "only-unknown-entries": only_unknown_entries,
    "unknown-contents": unknown_contents,
    "schema-1-entry": schema_1_entry,
    "empty-index": empty_index,
    "empty-index-docker": partial(empty_index, docker=True),
    "listed-twice": listed_twice,
}


def push_shape(package: Package, shape: str, *tags: str, seed: str = "", created_at: Moment | None = None) -> Made:
    """Push an image of a shape, and give its root these tags; another seed makes another one of the same shape."""
    made = Made(package=package, seed=f"{shape} {seed}", created_at=created_at)
    made.root = SHAPES[shape](made)
    content, media_type = package.manifests[made.root.name]
    for tag in tags:
        package.push(content, media_type, tag, created_at)
    return made
