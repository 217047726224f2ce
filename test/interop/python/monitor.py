"""What Celery's monitors do: a receiver that fills a state, as that of `celery events` and of Flower."""

import threading

from tasks import app


class Monitor:
    """Hears all events until the process ends. `wakeup` asks workers for a heartbeat when it starts."""

    def __init__(self, wakeup=True):
        self.state = app.events.State()
        self.events = []
        self.lock = threading.Lock()
        self.ready = threading.Event()
        threading.Thread(target=self.capture, args=(wakeup,), daemon=True).start()
        self.ready.wait(20)

    def capture(self, wakeup):
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={'*': self.on_event}, app=app)
            began = receiver.on_consume_ready

            def on_consume_ready(*args, **kwargs):
                began(*args, **kwargs)
                self.ready.set()

            receiver.on_consume_ready = on_consume_ready
            receiver.capture(limit=None, timeout=None, wakeup=wakeup)

    def on_event(self, event):
        with self.lock:
            self.events.append(dict(event))
            self.state.event(event)

    def of(self, hostname=None, uuid=None):
        """The events of a worker or client, or of a task, as they came."""
        with self.lock:
            return [
                event
                for event in self.events
                if (hostname is None or event['hostname'] == hostname) and (uuid is None or event.get('uuid') == uuid)
            ]

    def worker(self, hostname):
        """What Flower shows of a worker in its list."""
        with self.lock:
            worker = self.state.workers.get(hostname)
            if worker is None:
                return None
            fields = ('hostname', 'pid', 'freq', 'active', 'processed', 'loadavg', 'sw_ident', 'sw_ver', 'sw_sys', 'alive')
            return {'status': worker.status_string, **{field: getattr(worker, field) for field in fields}}

    def task(self, uuid):
        """What Flower shows of a task."""
        with self.lock:
            task = self.state.tasks.get(uuid)
            if task is None:
                return None
            fields = (
                'uuid name state args kwargs result exception traceback eta expires retries runtime received started '
                'succeeded failed retried revoked rejected sent root_id parent_id routing_key exchange timestamp'
            ).split()
            return {'worker': task.worker and task.worker.hostname, **{field: getattr(task, field) for field in fields}}

    def tasks_in_order(self, uuids):
        """By the logical clock, newest first, as monitors list them."""
        with self.lock:
            return [uuid for uuid, _ in self.state.tasks_by_time() if uuid in uuids]


monitors = {}


def monitor(name='default', **options):
    """The monitor of a name; started when it is first asked for."""
    if name not in monitors:
        monitors[name] = Monitor(**options)
    return monitors[name]
