# holdpoint, static, as nobody, on nothing.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/holdpoint ./cmd/holdpoint
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/actors ./examples/actors
RUN mkdir -p /out/keys /out/config /out/data

FROM scratch
COPY --from=build /out/holdpoint /out/actors /
COPY --from=build --chown=65532:65532 /out/keys /keys
COPY --from=build --chown=65532:65532 /out/config /config
COPY --from=build --chown=65532:65532 /out/data /data
COPY examples/customer-operations /bundles/customer-operations
USER 65532:65532
ENTRYPOINT ["/holdpoint"]
