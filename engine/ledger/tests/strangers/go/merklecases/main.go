// Command merklecases writes good and bad proofs, one JSON object a line, each with the verdict of
// github.com/transparency-dev/merkle. The module that the Go proxy carries has the verifier and a reference tree but
// not the corpus of the repository, so the corpus is made here: every proof of small trees and of trees around powers
// of two, and for each the changes that the corpus has (other roots, sizes and indexes, bits flipped, hashes added,
// removed and swapped).
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
)

type probe struct {
	// For inclusion: index, size, leaf, root. For consistency: sizes and roots of the old and the new tree.
	Kind   string   `json:"kind"`
	First  uint64   `json:"first"`
	Second uint64   `json:"second"`
	Left   string   `json:"left"`
	Right  string   `json:"right"`
	Proof  []string `json:"proof"`
	What   string   `json:"what"`
	Holds  bool     `json:"holds"`
}

type input struct {
	kind          string
	first, second uint64
	left, right   []byte
	proof         [][]byte
}

var out = bufio.NewWriter(os.Stdout)

func write(what string, in input) {
	var err error
	if in.kind == "inclusion" {
		err = proof.VerifyInclusion(rfc6962.DefaultHasher, in.first, in.second, in.left, in.proof, in.right)
	} else {
		err = proof.VerifyConsistency(rfc6962.DefaultHasher, in.first, in.second, in.proof, in.left, in.right)
	}
	hashes := []string{}
	for _, hash := range in.proof {
		hashes = append(hashes, hex.EncodeToString(hash))
	}
	line, fault := json.Marshal(probe{
		in.kind, in.first, in.second, hex.EncodeToString(in.left), hex.EncodeToString(in.right), hashes, what, err == nil,
	})
	if fault != nil {
		panic(fault)
	}
	fmt.Fprintf(out, "%s\n", line)
}

func flipped(hash []byte) []byte {
	other := append([]byte{}, hash...)
	other[4] ^= 0x10
	return other
}

func with(proof [][]byte, change func([][]byte) [][]byte) [][]byte {
	return change(append([][]byte{}, proof...))
}

func variants(in input) {
	write("as it is", in)
	change := func(what string, edit func(*input)) {
		other := in
		edit(&other)
		write(what, other)
	}
	change("left hash flipped", func(o *input) { o.left = flipped(o.left) })
	change("right hash flipped", func(o *input) { o.right = flipped(o.right) })
	change("hashes swapped", func(o *input) { o.left, o.right = o.right, o.left })
	change("first plus one", func(o *input) { o.first++ })
	change("first minus one", func(o *input) { o.first-- })
	change("first xor two", func(o *input) { o.first ^= 2 })
	change("second twice", func(o *input) { o.second *= 2 })
	change("second half", func(o *input) { o.second /= 2 })
	change("second plus one", func(o *input) { o.second++ })
	change("no proof", func(o *input) { o.proof = nil })
	for _, extra := range []struct {
		name string
		hash []byte
	}{{"left", in.left}, {"right", in.right}, {"zeros", make([]byte, 32)}} {
		change(extra.name+" in front", func(o *input) { o.proof = append([][]byte{extra.hash}, o.proof...) })
		change(extra.name+" behind", func(o *input) {
			o.proof = with(o.proof, func(p [][]byte) [][]byte { return append(p, extra.hash) })
		})
	}
	for at := range in.proof {
		change(fmt.Sprintf("bit of hash %d flipped", at), func(o *input) {
			o.proof = with(o.proof, func(p [][]byte) [][]byte { p[at] = flipped(p[at]); return p })
		})
	}
	if len(in.proof) > 0 {
		change("last hash missing", func(o *input) { o.proof = o.proof[:len(o.proof)-1] })
		change("first hash missing", func(o *input) { o.proof = o.proof[1:] })
	}
	if len(in.proof) > 1 {
		change("two hashes swapped", func(o *input) {
			o.proof = with(o.proof, func(p [][]byte) [][]byte { p[0], p[1] = p[1], p[0]; return p })
		})
	}
}

func main() {
	const largest = 520
	tree := testonly.New(rfc6962.DefaultHasher)
	for leaf := uint64(0); leaf < largest; leaf++ {
		tree.AppendData(fmt.Appendf(nil, "leaf %d", leaf))
	}
	sizes := []uint64{63, 64, 65, 255, 256, 257, 511, 512, 513}
	for size := uint64(1); size <= 17; size++ {
		sizes = append(sizes, size)
	}
	for _, size := range sizes {
		for at := uint64(0); at <= size; at++ {
			// All of the small trees, the interesting places of the large ones.
			if size > 17 && at > 2 && at < size-2 && at%37 != 0 && at&(at-1) != 0 {
				continue
			}
			if at < size {
				path, err := tree.InclusionProof(at, size)
				if err != nil {
					panic(err)
				}
				variants(input{"inclusion", at, size, tree.LeafHash(at), tree.HashAt(size), path})
			}
			if at > 0 {
				path, err := tree.ConsistencyProof(at, size)
				if err != nil {
					panic(err)
				}
				variants(input{"consistency", at, size, tree.HashAt(at), tree.HashAt(size), path})
			}
		}
	}
	if err := out.Flush(); err != nil {
		panic(err)
	}
}
