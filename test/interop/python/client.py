"""A Python client that is told what to do: a JSON object a line, `{"id", "run", "with"}`, is answered by `{"id", "value"}` or
`{"id", "error"}`. `run` is Python; its last expression is the value. `with` are names that it may use. Several run side by side, but not with results by rpc.
"""

import ast
import json
import sys
import threading

import celery
from celery import chain, chord, group, signature  # noqa: F401 -- for what is run
from celery.result import AsyncResult, GroupResult, allow_join_result  # noqa: F401

import tasks
from monitor import monitor  # noqa: F401 -- for what is run
from tasks import app

written = threading.Lock()
# CPython 3.11 counts the depth of its parser for all threads together.
compiling = threading.Lock()


def main():
    answer({'ready': celery.__version__})
    for line in sys.stdin:
        if app.conf.result_backend == 'rpc://':
            # Celery's rpc client loses results when several threads of a process wait for some.
            serve(json.loads(line))
        else:
            threading.Thread(target=serve, args=(json.loads(line),), daemon=True).start()


def serve(command):
    try:
        answer({'id': command['id'], 'value': run(command['run'], command.get('with', {}))})
    except BaseException as error:
        kind = type(error)
        answer({
            'id': command['id'],
            'error': {
                'type': kind.__name__,
                'module': kind.__module__,
                'bases': [base.__name__ for base in kind.__mro__],
                'message': str(error),
                'args': [arg if isinstance(arg, (str, int, float, bool)) else repr(arg) for arg in error.args],
            },
        })


def run(source, given):
    names = {**globals(), **vars(tasks), 'js': js, 'result': app.AsyncResult, **given}
    with compiling:
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        statements = compile(tree, '<test>', 'exec')
        value = None if last is None else compile(ast.Expression(last.value), '<test>', 'eval')
    exec(statements, names)
    return None if value is None else eval(value, names)


def js(name, *args, **kwargs):
    """The signature of a task that only the other side has."""
    return app.signature(f'js.{name}', args=args, kwargs=kwargs)


def answer(value):
    text = json.dumps(value, default=str)
    with written:
        sys.stdout.write(text + '\n')
        sys.stdout.flush()


main()
