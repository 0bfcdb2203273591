"""Judging what was said: each critic answers with a `Verdict` and never raises over a reply's content.

- `critics.reply_format`: is the reply whole?
- `critics.math_answer`: does its final answer equal the gold one?
- `critics.choice`: did it choose the right option?
- `critics.program_answer`: what does the program compute that the reply is?
- `critics.self_consistency`: what do most replies to the question say?
- `critics.early_stopping`: are there enough of them?
- `critics.model_judge`: what does a model say of it, by a rubric? `critics.fence` keeps the reply from instructing it.
- `critics.combination`: what do two verifiers say together?
- `critics.library`, `critics.labels`: what do people say of strategies and of rows?

``fail`` is only ever a clear failure; whatever cannot be decided is ``unjudged``, with a reason.
"""

from critics.verdict import Outcome, Verdict

__all__ = ["Outcome", "Verdict"]
