"""Folders of labelled images, as people have them."""

import numpy as np
from photos import encode, turned
from PIL import Image

COLOURS = ("red", "green", "blue", "yellow", "magenta", "cyan", "white")


def picture(class_id, seed, size=(24, 24)):
    """Returns an image, an array of height, width and channels, that shows its class: a disc in a colour."""
    random = np.random.default_rng([class_id, seed])
    width, height = size
    image = random.integers(0, 60, (height, width, 3))
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    colour = np.array(Image.new("RGB", (1, 1), COLOURS[class_id % len(COLOURS)]).getpixel((0, 0)))
    image[across**2 + down**2 < 0.6] = np.clip(colour * random.uniform(0.7, 1.0), 0, 255)
    return image.astype(np.uint8)


def write_classes(folder, names, count=10, size=(24, 24)):
    """Writes PNG files `folder/<name>/<number>.png`."""
    for class_id, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / name / f"{number:04}.png").write_bytes(encode(picture(class_id, number, size)))
    return folder


KINDS = {
    "JPEG": (".jpg", {"quality": 92}),
    "PNG": (".png", {}),
    "WEBP": (".webp", {"quality": 90}),
}


def write_mixed(folder, names, count, largest=3000):
    """Writes `count` images per class: JPEG, PNG and WebP, 20 to `largest` pixels, some turned, some transparent."""
    random = np.random.default_rng(0)
    for class_id, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            kind = list(KINDS)[number % len(KINDS)]
            suffix, options = KINDS[kind]
            long = largest if number % 100 == 99 else int(random.integers(20, 200))
            size = (long, int(long * random.uniform(0.6, 1.0)))
            image = picture(class_id, number, size if number % 2 else size[::-1])
            if kind == "JPEG":
                data = turned(image, 1 + number % 8, kind, **options)
            elif kind == "PNG" and number % 4 == 0:
                alpha = np.full((*image.shape[:2], 1), 255, np.uint8)
                alpha[:2] = 0
                data = encode(np.concatenate([image, alpha], axis=2), kind)
            else:
                data = encode(image, kind, **options)
            (folder / name / f"{number:05}{suffix}").write_bytes(data)
    return folder
