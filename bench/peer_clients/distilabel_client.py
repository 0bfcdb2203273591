"""One run of distilabel, in an environment of its own; see `bench/peers.py`."""

import os
import sys

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DISTILABEL_LOG_LEVEL": "ERROR"}
sys.path.pop(0)  # this folder, in which this file has the package's name
from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - as the others of this folder do
from meter import Meter, question

if __name__ == "__main__":
    url, requests, window = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Pipeline(name="throughput") as pipeline:
        rows = [{"instruction": question(number)} for number in range(requests)]
        load = LoadDataFromDicts(data=rows, batch_size=window)
        llm = OpenAILLM(model="practice", base_url=url, api_key="none", generation_kwargs={"temperature": 1.0})
        load >> TextGeneration(llm=llm, input_batch_size=window)
    with Meter() as meter:
        done = pipeline.run(use_cache=False)
    replies = [row["generation"] for row in done["default"]["train"]]
    assert sum(bool(reply) for reply in replies) == requests, "not all rows were answered"
    meter.show()
