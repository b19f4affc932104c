"""The recipes of docs/answers.md do what the page says: repeat what was not written, and nothing else."""

import asyncio
import re
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.load.scripted import answer, scripted

PAGE = (Path(__file__).parents[2] / "docs" / "answers.md").read_text()
WRITTEN, NOT_WRITTEN, UNKNOWN = answer(201, b'{"offset": 7}'), answer(503, b"{}", "retry-after: 0"), answer(504, b"{}")
SCRIPTS = [([WRITTEN], 201), ([NOT_WRITTEN, WRITTEN], 201), ([UNKNOWN, WRITTEN], 504)]
WHICH = pytest.mark.parametrize(("answers", "status"), SCRIPTS, ids=["written", "not written at first", "unknown"])

JAVA = """
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpResponse.BodyHandlers;

public class Recipe {
    %s
    public static void main(String[] arguments) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
            .POST(HttpRequest.BodyPublishers.ofString("{}")).build();
        System.out.println(send(HttpClient.newHttpClient(), request).statusCode());
    }
}
"""


def recipe(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def used(answers: list[bytes]) -> int:
    """How many requests are right: none after the first answer that is no "not written"."""
    return next(number for number, one in enumerate(answers, 1) if one != NOT_WRITTEN)


async def run(*command: str, directory: Path, **environ: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, cwd=directory, env=environ or None, stdout=PIPE)
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return said.decode()


@WHICH
@pytest.mark.needs("curl")
async def test_the_recipe_for_curl(answers: list[bytes], status: int, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text("{}")
    async with scripted(lambda number, _: [answers[number]]) as server:
        url, path = f"http://127.0.0.1:{server.port}/", "/usr/local/bin:/usr/bin:/bin"
        said = await run("bash", "-c", recipe("bash") + 'echo "$status"', directory=tmp_path, URL=url, PATH=path)
        assert (said, len(server.requests)) == (f"{status}\n", used(answers))


@WHICH
async def test_the_recipe_for_python(answers: list[bytes], status: int) -> None:
    names: dict[str, Any] = {}
    exec(recipe("python"), names)
    async with scripted(lambda number, _: [answers[number]]) as server:
        with httpx.Client() as client:
            sending = asyncio.to_thread(names["send"], client, f"http://127.0.0.1:{server.port}/", {})
            if status == 201:
                assert await sending == {"offset": 7}
            else:
                with pytest.raises(httpx.HTTPStatusError, match=str(status)):
                    await sending
        assert len(server.requests) == used(answers)


@WHICH
@pytest.mark.needs("jdk")
async def test_the_recipe_for_java(answers: list[bytes], status: int, tmp_path: Path) -> None:
    (tmp_path / "Recipe.java").write_text(JAVA % recipe("java"))
    async with scripted(lambda number, _: [answers[number]]) as server:
        said = await run("java", "Recipe.java", f"http://127.0.0.1:{server.port}/", directory=tmp_path)
        assert (said, len(server.requests)) == (f"{status}\n", used(answers))
