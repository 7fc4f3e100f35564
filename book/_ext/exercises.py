"""The directives `exercise` and `solution`: a task with its difficulty and time, and a solution that is shown when it is asked for.

    ```{exercise} A title
    :label: route-b-1
    The task.
    ```

    ```{solution} route-b-1
    Why it is right. The code follows by itself.
    ```

The difficulty, the time and the code of the solution come from `metarep_lib.exercises`, which also grades: what a page shows is what
the tests have run.
"""

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from metarep_lib.exercises import find

SOLUTION = """\
``````{{dropdown}} Solution
{text}

```python
{code}
```
``````"""


class ExerciseDirective(SphinxDirective):
    """A box with the number of the exercise in its chapter, its title, and what it takes."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"label": str.strip}

    def run(self) -> list[nodes.Node]:
        label = self.options["label"]
        exercise = find(label)
        stars = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
        head = f"Exercise {label.rpartition('-')[2]}: {self.arguments[0]}"
        title, _ = self.state.inline_text(f"{head} ({stars}, {exercise.minutes} minutes)", self.lineno)
        box = nodes.admonition("", nodes.title("", "", *title), classes=["exercise"], ids=[f"exercise-{label}"])
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


class SolutionDirective(SphinxDirective):
    """A closed box with the text and, below it, the code that the tests run as the solution."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        code = find(self.arguments[0]).solution.strip("\n")
        lines = SOLUTION.format(text="\n".join(self.content), code=code).split("\n")
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.get_source_info()[0]), self.content_offset, holder)
        return holder.children


def setup(app) -> dict:
    app.add_directive("exercise", ExerciseDirective)
    app.add_directive("solution", SolutionDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
