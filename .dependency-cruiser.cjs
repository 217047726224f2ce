// The import arrows of ARCHITECTURE.md, as rules.
const CORE = '^packages/core/src/';
const inCore = (folders) => `${CORE}(${folders.join('|')})/`;
const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { path: CORE, pathNot: allowed },
});

const leaves = ['errors', 'config', 'ambient', 'async'];
const pure = [...leaves, 'task', 'message', 'schedule', 'ports'];

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'A cycle between modules that run (types may refer to each other).',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'src-knows-no-tests',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: '/(testing|conformance)/' },
      to: { path: '/(test|testing|conformance)/' },
    },
    {
      name: 'core-knows-no-nest',
      severity: 'error',
      from: { path: CORE },
      to: { path: ['node_modules/@nestjs', 'node_modules/typeorm', 'node_modules/pg/', 'node_modules/ioredis'] },
    },
    {
      name: 'drivers-know-no-nest',
      severity: 'error',
      from: { path: '^packages/(typeorm|redis|amqp|sqs)/src/' },
      to: { path: 'node_modules/@nestjs' },
    },
    {
      name: 'drivers-know-core-only',
      severity: 'error',
      from: { path: '^packages/(typeorm|redis|amqp|sqs|nestjs)/src/' },
      to: { path: '^packages/', pathNot: ['^packages/core/(src|dist)/(testing/|conformance/)?index', '^packages/$1/'] },
    },
    {
      name: 'purity',
      comment: 'Pure domain and contracts: no Node modules, but zlib for compression.',
      severity: 'error',
      from: { path: inCore(['task', 'message', 'schedule', 'ports', 'canvas']), pathNot: 'compression-codec' },
      to: { dependencyTypes: ['core'] },
    },
    only(
      'pure-parts',
      inCore(['task', 'message', 'schedule', 'ports']),
      inCore(pure),
      'Domain and contracts know each other and the leaves.',
    ),
    only(
      'client',
      inCore(['client', 'canvas']),
      inCore([...pure, 'canvas', 'control', 'events', 'client']),
      'The client uses ports, never a worker or driver.',
    ),
    only('control', inCore(['control']), inCore([...pure, 'control']), 'Commands and answers know ports only.'),
    only('events', inCore(['events']), inCore([...pure, 'control', 'events']), 'Events know ports only.'),
    only('pools', inCore(['pools']), inCore([...pure, 'pools']), 'Pools know nothing of workers.'),
    only(
      'beat',
      inCore(['beat']),
      inCore([...pure, 'client', 'canvas', 'control', 'events', 'beat']),
      'Beat uses ports.',
    ),
    only(
      'worker',
      inCore(['worker']),
      inCore([...pure, 'client', 'canvas', 'control', 'events', 'pools', 'worker']),
      'The worker uses ports, never a driver.',
    ),
    only('memory', inCore(['memory']), inCore([...pure, 'memory']), 'A driver implements ports.'),
    only(
      'conformance',
      inCore(['conformance']),
      inCore([...pure, 'testing', 'conformance']),
      'The suite knows contracts, never the runtime.',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@taskqueue/source', 'types', 'import', 'default'],
    },
  },
};
