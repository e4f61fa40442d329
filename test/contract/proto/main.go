// Compares a csi.proto with the interface published as a Go module and prints what differs as JSON.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/proto"
)

// Report is all that is printed: how much was compared, and each fact that is not the same.
type Report struct {
	Compared    map[string]int `json:"compared"`
	Differences []Difference   `json:"differences"`
}

// Difference names one fact. A side that does not have it is null.
type Difference struct {
	At        string  `json:"at"`
	Published *string `json:"published"`
	Ours      *string `json:"ours"`
}

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("give one argument, the csi.proto to compare"))
	}
	report, err := compare(os.Args[1])
	if err != nil {
		fail(err)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(report); err != nil {
		fail(err)
	}
}

func compare(path string) (*Report, error) {
	want, err := published()
	if err != nil {
		return nil, err
	}
	have, err := ours(path)
	if err != nil {
		return nil, err
	}
	return &Report{Compared: want.counts, Differences: differences(want.facts, have.facts)}, nil
}

// published reads the bytes that protoc left in the module: a descriptor rebuilt from Go types would be less exact.
func published() (*reader, error) {
	packed, _ := (*csi.Volume)(nil).Descriptor()
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	descriptor, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, err
	}
	return factsOf(csi.File_csi_proto, descriptor)
}

func ours(path string) (*reader, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			ImportPaths: []string{filepath.Dir(path)},
		}),
	}
	files, err := compiler.Compile(context.Background(), filepath.Base(path))
	if err != nil {
		return nil, err
	}
	result, ok := files[0].(linker.Result)
	if !ok {
		return nil, fmt.Errorf("%s was not compiled from source", path)
	}
	descriptor, err := proto.Marshal(result.FileDescriptorProto())
	if err != nil {
		return nil, err
	}
	return factsOf(result, descriptor)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
