/** Watches a program that never answers, and says so once it runs: for a test that kills this process meanwhile. */
import { observe } from '../../src/blueprint/observe/observe.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import { silent } from '../../src/config/log.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { servicesIn } from './small-root.ts'

const root = process.argv[2]!
const yaml = `
name: small
stack: [ { deb: { packages: [busybox-static] } } ]
start: { command: [sleep, "60"] }
probe: { tcp: 8099 }
`
const blueprint = parseBlueprint(yaml, '/srv/x.yaml')
const store = await Store.open(`${root}-store`)
const services = await servicesIn(root, blueprint, store)
await observe(
  { blueprint, services, stackDigest: digestOf('stack'), root, trees: [], store, log: silent },
  ({ step }) => {
    if (step === 'probe') setTimeout(() => console.log('running'), 200)
  },
)
