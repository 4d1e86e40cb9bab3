import { defineConfig } from 'vite'

export default defineConfig({
  // Every browser that has module workers preloads modules by itself.
  build: { modulePreload: { polyfill: false } },
  server: {
    // Where `npx presence-bridge` listens.
    proxy: {
      '/mqtt': { target: 'ws://127.0.0.1:8080', ws: true },
      '/unload': 'http://127.0.0.1:8080',
    },
  },
})
