"""Marks on key images: text, boxes, scale bar. Coordinates are pixels (x, y) from the top left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from preprocessing.planes import Plane

AMBER, WHITE, BLACK = (255, 190, 40), (255, 255, 255), (0, 0, 0)
RING_PX = 10

Point = tuple[float, float]
Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Canvas:
    """An image under way; every mark has a dark rim, so that it shows on lung and on bone.

    Attributes:
        image: what is drawn on.
        draw: Pillow's pen.
        unit: size of letters and rings, 1 on an image shown pixel by pixel.
    """

    image: Image.Image
    draw: ImageDraw.ImageDraw
    unit: float = 1.0

    @staticmethod
    def of(rgb: npt.NDArray[np.uint8], unit: float = 1.0) -> Canvas:
        """A canvas over an (H, W, 3) array."""
        image = Image.fromarray(rgb)
        return Canvas(image, ImageDraw.Draw(image), unit)

    def text(self, at: Point, words: str, anchor: str, size: int = 15) -> None:
        """White words; `anchor` as in Pillow ("lm": `at` is the left middle)."""
        font = ImageFont.load_default(size * self.unit)
        self.draw.text(at, words, fill=WHITE, font=font, anchor=anchor, stroke_width=2, stroke_fill=BLACK)

    def box(self, low: Point, high: Point) -> None:
        """An amber frame, two pixels wide, whose outer pixels are `low` and `high`."""
        x0, y0, x1, y1 = (round(v) for v in (*low, *high))
        self.draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=BLACK, width=4)
        self.draw.rectangle((x0, y0, x1, y1), outline=AMBER, width=2)

    def edge_letters(self, plane: Plane) -> None:
        """The patient directions, one at each edge."""
        left, right, top, bottom = plane.edges()
        width, height = self.image.size
        self.text((7, height / 2), left, "lm")
        self.text((width - 7, height / 2), right, "rm")
        self.text((width / 2, 5), top, "mt")
        self.text((width / 2, height - 6), bottom, "mb")

    def scale_bar(self, px_per_mm: float) -> None:
        """A bar of 10, 20 or 50 mm, at the lower right, at most a third of the width."""
        width, height = self.image.size
        length_mm = max((n for n in (10, 20, 50) if n * px_per_mm <= width / 3), default=10)
        length = round(length_mm * px_per_mm)
        x1, y = width - 12, height - 12
        self.draw.rectangle((x1 - length - 1, y - 2, x1 + 1, y + 2), fill=BLACK)
        self.draw.rectangle((x1 - length, y - 1, x1, y + 1), fill=WHITE)
        self.text((x1 - length / 2, y - 5), f"{length_mm} mm", "mb", 13)

    def ring(self, at: Point, label: str, filled: bool) -> None:
        """A numbered ring; the filled one stands out."""
        (x, y), r, width = at, RING_PX * self.unit, round(2 * self.unit)
        self.draw.ellipse((x - r - 1, y - r - 1, x + r + 1, y + r + 1), outline=BLACK, width=2)
        self.draw.ellipse((x - r, y - r, x + r, y + r), outline=AMBER, width=width, fill=AMBER if filled else BLACK)
        font = ImageFont.load_default(13 * self.unit)
        self.draw.text(at, label, fill=BLACK if filled else AMBER, font=font, anchor="mm")
