"""What to do about a broken image, in the words of the terminal and of the summary."""

from package_keeper.model.images import Remedy, VerifiedImage
from package_keeper.model.packages import display_name


def remedy_text(image: VerifiedImage) -> str:
    """The remedy, with the end of what `repair` can do and with what to build anew. Empty for a whole image."""
    until = image.repairable_until
    found = [f"repair until {until:%Y-%m-%d}"] if until is not None else []
    if image.remedy is not Remedy.REPAIR or not found:
        found.append(" ".join(filter(None, (image.remedy, to_build(image)))))
    return ", then ".join(filter(None, found))


def origin_text(image: VerifiedImage) -> str:
    """The commit and repository of an image, as far as they are known."""
    return " of ".join(filter(None, (image.origin.revision, image.origin.source)))


def to_build(image: VerifiedImage) -> str:
    """The platforms to build anew; empty when `repair` can do everything, or nobody knows."""
    if image.remedy is not Remedy.REBUILD:
        return ""
    return ", ".join(display_name(each) for each in image.to_rebuild) or "the whole image"
