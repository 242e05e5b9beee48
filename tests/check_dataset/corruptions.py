"""What can be wrong with data in MuCo's format, and the rows of a report that must tell."""

from pathlib import Path

import cv2
import numpy as np

from tests.check_dataset.reports import LENGTHS, MEDIAN, READABLE, WORST


def of_people(change):
    def apply(content: dict) -> None:
        for person in content["annotations"]:
            change(person)

    return apply


def of_images(change):
    def apply(content: dict) -> None:
        for image in content["images"]:
            change(image)

    return apply


def scale_3d(factor: float):
    def change(person: dict) -> None:
        person["keypoints_cam"] = (np.array(person["keypoints_cam"]) * factor).tolist()

    return of_people(change)


def move_one_joint(content: dict) -> None:
    content["annotations"][3]["keypoints_img"][7][1] += 40.0


def lengthen_left_forearms(person: dict) -> None:
    """Along the ray of the wrist in the image, so that its projection stays."""
    wrist = np.array(person["keypoints_cam"][7])
    person["keypoints_cam"][7] = (wrist * (1 + 90 / np.linalg.norm(wrist))).tolist()


def forget_the_pixel_shift(image: dict) -> None:
    image["c"] = [value - 0.5 for value in image["c"]]


def cut_image(folder: Path) -> None:
    path = next((folder / "images").glob("*.jpg"))
    path.write_bytes(path.read_bytes()[:-600])


def shrink_image(folder: Path) -> None:
    path = next((folder / "images").glob("*.jpg"))
    cv2.imwrite(str(path), cv2.imread(str(path))[:-1])


CORRUPTIONS = {
    # What is done to the JSON's content, and the rows that must fail: these and no others.
    "focal length": (
        of_images(lambda image: image.update(f=[20 * value for value in image["f"]])),
        {"field of view", MEDIAN, WORST},
    ),
    "fx and fy": (
        of_images(lambda image: image.update(f=[1.2 * image["f"][0], image["f"][1]])),
        {"focal lengths fx / fy", MEDIAN, WORST},
    ),
    "principal point in the corner": (
        of_images(lambda image: image.update(c=[0.0, 0.0])),
        {"principal point off the middle", MEDIAN, WORST},
    ),
    "principal point off by half a pixel": (of_images(forget_the_pixel_shift), {MEDIAN}),
    "one joint in 2D": (move_one_joint, {WORST}),
    "metres": (scale_3d(1e-3), {"distance of people", *LENGTHS}),
    "centimetres": (scale_3d(0.1), {"distance of people", *LENGTHS}),
    "left forearms": (
        of_people(lengthen_left_forearms),
        {"left-right difference, median"},
    ),
    "boxes moved away": (
        of_people(lambda person: person["bbox"].__setitem__(0, 5000.0)),
        {"boxes outside the image", "visible joints in their box"},
    ),
    "boxes too small": (
        of_people(lambda person: person.update(bbox=[*person["bbox"][:2], 2.0, 2.0])),
        {"visible joints in their box"},
    ),
    "one file twice": (
        lambda c: c["images"][1].update(file_name=c["images"][0]["file_name"]),
        {"files that repeat"},
    ),
    "no people": (lambda content: content["annotations"].clear(), {"people"}),
    "an image that is not there": (
        lambda content: content["images"][2].update(file_name="images/absent.jpg"),
        {"images present", READABLE},
    ),
    "another size": (of_images(lambda image: image.update(width=97)), {READABLE}),
}
