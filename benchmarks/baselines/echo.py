"""FastAPI that answers a captured skill with itself: no storage, no log, no stream. The ceiling for captures."""

from fastapi import FastAPI
from pydantic import BaseModel


class Skill(BaseModel):
    """The fields that the benchmark sends."""

    error_type: str | None = None
    pattern: str | None = None
    resolution: str
    context: str | None = None


app = FastAPI()


@app.post("/skills", status_code=201)
async def echo(skill: Skill) -> Skill:
    return skill
