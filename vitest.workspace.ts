import { defineConfig } from "vitest/config"

const project = (name: string) => ({
  extends: true as const,
  test: { name, root: `packages/${name}`, include: ["test/**/*.test.ts"] }
})

/** The test projects, one a package. `vitest.config.ts` re-exports this, so that plain `npx vitest` finds it. */
export default defineConfig({
  test: {
    pool: "forks",
    testTimeout: 30_000,
    projects: [project("runtime"), project("http"), project("examples")]
  }
})
