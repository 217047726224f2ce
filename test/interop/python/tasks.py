"""The Python side of the interoperation tests: an application and the tasks that its worker runs.

Started by peer.ts, which says by the environment where everything is:

    INTEROP_BROKER    URL of the broker
    INTEROP_RESULTS   URL of the results, `rpc://`, or `django-db`
    INTEROP_DATABASE  URL of the PostgreSQL of `django-db`
    INTEROP_QUEUE     the queue of this side's own worker
    INTEROP_NODE      the queue of the other side's worker
    INTEROP_LEDGER    file to which some tasks append a line for each run
    INTEROP_MAX_PRIORITY  of the queues on RabbitMQ; absent: none
"""

import os
import time
from datetime import datetime
from urllib.parse import urlsplit

from celery import Celery
from celery.exceptions import Ignore
from kombu import Exchange, Queue

if os.environ['INTEROP_RESULTS'] == 'django-db':
    import django
    from django.conf import settings

    place = urlsplit(os.environ['INTEROP_DATABASE'])
    database = {
        'ENGINE': 'django.db.backends.postgresql',
        'NAME': place.path[1:],
        'USER': place.username,
        'PASSWORD': place.password or '',
        'HOST': place.hostname,
        'PORT': place.port or 5432,
    }
    settings.configure(INSTALLED_APPS=['django_celery_results'], DATABASES={'default': database}, USE_TZ=True)
    django.setup()

queues = (os.environ['INTEROP_QUEUE'], os.environ['INTEROP_NODE'])
most = int(os.environ['INTEROP_MAX_PRIORITY']) if 'INTEROP_MAX_PRIORITY' in os.environ else None

app = Celery('interop', broker=os.environ['INTEROP_BROKER'], backend=os.environ['INTEROP_RESULTS'])
app.conf.update(
    task_default_queue=os.environ['INTEROP_QUEUE'],
    task_queues=[Queue(name, Exchange(name), routing_key=name, max_priority=most) for name in queues],
    # What is called js.… runs on the other side.
    task_routes=(lambda name, *_, **__: {'queue': os.environ['INTEROP_NODE']} if name.startswith('js.') else None,),
    result_extended=os.environ.get('INTEROP_EXTENDED') == '1',
    accept_content=['json', 'msgpack', 'yaml'],
    result_accept_content=['json'],
    task_serializer='json',
    result_serializer='json',
    task_track_started=False,
    task_acks_late=True,
    broker_connection_retry=True,
    worker_hijack_root_logger=False,
    enable_utc=True,
    task_queue_max_priority=most,
)


class OrderError(Exception):
    """An exception of the application's own."""


@app.task(name='py.add')
def add(x, y):
    return x + y


@app.task(name='py.echo')
def echo(*args, **kwargs):
    return {'args': list(args), 'kwargs': kwargs}


@app.task(name='py.total')
def total(numbers):
    return sum(numbers)


@app.task(name='py.when')
def when(text):
    """What an instant that travels as text, or by kombu's own form, is here."""
    instant = text if isinstance(text, datetime) else datetime.fromisoformat(text.replace('Z', '+00:00'))
    return instant.timestamp()


@app.task(name='py.fail')
def fail(message):
    raise ValueError(message)


@app.task(name='py.fail_own')
def fail_own(code, text):
    raise OrderError(code, text)


@app.task(name='py.retry_once', bind=True, max_retries=3)
def retry_once(self):
    if self.request.retries == 0:
        # Not at once: Celery records RETRY after it has sent the message, and would overwrite the SUCCESS of a fast worker.
        raise self.retry(exc=OrderError('not yet'), countdown=0.3)
    return self.request.retries


@app.task(name='py.ignored')
def ignored():
    raise Ignore()


@app.task(name='py.silent', ignore_result=True)
def silent(value):
    return value


@app.task(name='py.request', bind=True)
def request(self, *_args):
    """What a worker tells its task of the message."""
    it = self.request
    return {
        'id': it.id,
        'root_id': it.root_id,
        'parent_id': it.parent_id,
        'retries': it.retries,
        'eta': it.eta,
        'expires': it.expires,
        'timelimit': list(it.timelimit or [None, None]),
        'priority': it.delivery_info.get('priority'),
        'headers': it.headers,
        'trace': it.get('trace'),
        'traceparent': it.get('traceparent'),
        'numbers': it.get('numbers'),
        'at': time.time(),
    }


@app.task(name='py.sleep')
def sleep(seconds):
    time.sleep(seconds)
    return seconds


@app.task(name='shared.count')
def count(number):
    """One line for each run, in one write. Both sides have a task of this name."""
    time.sleep(0.02)
    with open(os.environ['INTEROP_LEDGER'], 'a', encoding='utf-8') as ledger:
        ledger.write(f'py {number}\n')
    return number


@app.task(name='py.note')
def note(*args):
    """An errback or a callback that leaves its arguments where the test finds them."""
    with open(os.environ['INTEROP_LEDGER'], 'a', encoding='utf-8') as ledger:
        ledger.write('note ' + ' '.join(str(arg) for arg in args) + '\n')
    return list(args)


@app.task(name='py.note_and_sleep')
def note_and_sleep(mark, seconds):
    note(mark)
    time.sleep(seconds)
