"""Single slices under `/api/v1/slices`."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from classification.slices.shipped import WORTH, shipped_worth
from lungscreen.server.desk import Desk
from lungscreen.server.problems import answers

SLICE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


class Share(BaseModel):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class SliceWorth(BaseModel):
    """What the answer to a single slice is worth: the card of the weights, in figures."""

    weights: str
    sha256: str
    worth: str = Field(description="what the classes are, in words")
    data: str = Field(description="the slices of the figures")
    n_slices: int
    n_groups: int = Field(description="slices of one group are alike or neighbours, and never on both sides")
    accuracy: Share = Field(description="of unseen groups")
    nearest_neighbour: Share = Field(description="the same of a nearest neighbour on thumbnails")
    known_failures: list[str]


class SliceOut(BaseModel):
    """The answer to a single slice, which is kept nowhere."""

    probabilities: dict[str, float] = Field(description="by class; they sum to 1")
    predicted: str
    view: str = Field(description="what the network saw, as PNG in base64")
    heat: str = Field(description="Grad-CAM of the predicted class, of the same size, as PNG in base64")
    model: SliceWorth


def add_slices(router: APIRouter, desk: Desk) -> None:
    """The routes of single slices."""

    @router.get("/slices", tags=["slices"])
    def slices() -> SliceWorth:
        """What the answer to a single slice is worth."""
        return SliceWorth(worth=WORTH, **asdict(shipped_worth()))

    @router.post(
        "/slices",
        tags=["slices"],
        openapi_extra=SLICE_BODY,
        responses=answers(408, 413, 415, 422, 429, 503, 507),
    )
    async def answer_slice(request: Request) -> SliceOut:
        """One PNG, JPEG or DICOM slice: a share of each class, and where on the slice it comes from."""
        length = request.headers.get("content-length", "")
        stated = int(length) if length.isdecimal() else None
        folder = await run_in_threadpool(desk.folders.incoming)
        kind = request.headers.get("content-type", "")
        answer = await desk.slices.ask(request.stream(), kind, stated, folder)
        return SliceOut(model=slices(), **answer)
