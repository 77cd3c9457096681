/** A blueprint as its file has it. */
export type Blueprint = Record<string, unknown> & { kernel?: Record<string, unknown> }
type Edit = (blueprint: Blueprint) => Blueprint

/** Twice as slow is nothing on a machine that is busy with something else, and not what is to be shown here. */
export const patient = { boot: '10x' }

const withKernel =
  (kernel: Record<string, unknown>): Edit =>
  (blueprint) => ({ ...blueprint, kernel: { ...blueprint.kernel, ...kernel } })

const withConfiguration =
  (line: string): Edit =>
  (blueprint) => ({ ...blueprint, files: [{ path: '/etc/apache2/conf-enabled/zz-more.conf', content: `${line}\n` }] })

const libraries = '/usr/lib/x86_64-linux-gnu'
/** Ways in which a bundle of Apache is broken, or only answers otherwise: what it takes in the blueprint. */
export const kinds: Readonly<Record<string, Edit>> = {
  'kernel panics': withKernel({ cmdline: 'rdinit=/nonexistent' }),
  // Without the name of a command it tells how it is used, and ends.
  'init ends': withKernel({ cmdline: 'rdinit=/.bootloom/busybox' }),
  // A driver that is only not chosen would come by itself, once a node has told what it has.
  'network never comes up': withKernel({ cmdline: 'module_blacklist=virtio_net' }),
  'a bad configuration': withConfiguration('NoSuchDirective on'),
  'no configuration': (blueprint) => ({ ...blueprint, drop: ['/etc/apache2/apache2.conf'] }),
  'a library that is not there': (blueprint) => ({ ...blueprint, drop: [`${libraries}/libapr-1.so*`] }),
  'a library that does not load': (blueprint) => ({
    ...blueprint,
    drop: [`${libraries}/libapr-1.so*`],
    files: [{ path: `${libraries}/libapr-1.so.0`, content: 'no library\n', mode: '0755' }],
  }),
  // Serves, and serves what the probe expects; only held against the bundle before it shows.
  'another answer': withConfiguration('AddType text/plain .html'),
  'another text': (blueprint) => ({
    ...withConfiguration('Alias /about.html /var/www/html/index.html')(blueprint),
    verify: { ...patient, answers: 'same' },
  }),
}
