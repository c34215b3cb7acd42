# make test is all that a change has to pass; the other targets are for those who want more.
#
#   make deps      install what tests need and this machine lacks (as root, on Debian and its kin)
#   make build     build/weir, one static binary
#   make test      vet, staticcheck, and every test, with -race, on real volumes
#   make torture   the model tests again and again, with new seeds, the storm of mounts, and the large variants of spec; SHORT=1 for a few minutes
#   make bench     weir against cp, rsync and lsyncd

SHELL := /bin/bash
export PATH := $(PATH):/usr/local/go/bin:/usr/sbin:/sbin
ROUNDS = $(if $(SHORT),3,50)

.PHONY: build deps test torture bench clean

build:
	CGO_ENABLED=0 go build -trimpath -o build/weir ./cmd/weir

deps:
	@hack/deps

test: deps
	@hack/test

torture: deps
	go test -race -count=$(ROUNDS) -p=1 -timeout=0 -run 'Model|Torture' ./...
	go test -race -count=1 -timeout=0 -run LiveStorm ./daemon -storm $(if $(SHORT),2000,10000)
	$(if $(SHORT),,go test -count=1 -timeout=0 ./spec -large)

bench: deps build
	cd bench && go run . -weir ../build/weir $(if $(SHORT),-short)

clean:
	rm -rf build
