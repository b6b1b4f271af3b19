FROM node:20-bookworm-slim AS build
WORKDIR /weft
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:20-bookworm-slim
WORKDIR /weft
COPY --from=build /weft/package.json /weft/LICENSE ./
COPY --from=build /weft/bin ./bin
COPY --from=build /weft/dist ./dist
COPY --from=build /weft/node_modules ./node_modules
USER node
# For clients, for the admin side of coordinators and agents, and for coordinators that talk to agents.
EXPOSE 6432 6480 6481 6500
ENTRYPOINT ["node", "/weft/bin/weft.js"]
