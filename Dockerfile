# One image for API, worker and beat; the command says which.
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY . .
RUN npm ci && npx nest build api worker beat && npm prune --omit=dev

FROM node:22-bookworm-slim
ENV NODE_ENV=production DATA_DIR=/data
WORKDIR /app
COPY --from=build --chown=node:node /app/package.json ./
COPY --from=build --chown=node:node /app/node_modules ./node_modules
COPY --from=build --chown=node:node /app/packages ./packages
COPY --from=build --chown=node:node /app/dist ./dist
COPY --from=build --chown=node:node /app/sample-app ./sample-app
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 3000
CMD ["node", "--enable-source-maps", "dist/api/sample-app/src/api/main.js"]
