import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Two cores, real processes and real virtual machines: more at once only makes each slower.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // What is waited for comes late on a busy machine; how fast it comes is for the benchmarks.
    expect: { poll: { timeout: 20_000 } },
  },
})
