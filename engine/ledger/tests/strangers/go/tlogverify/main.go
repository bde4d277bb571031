// Command tlogverify checks a published log with Go's own sumdb/note and sumdb/tlog, which share no code with
// its writer: the checkpoint's signature, every tile against its root, every entry against its tile, and the
// proofs in proofs.json. Usage: tlogverify DIR. Exit status 0: accepted, 1: refused, 2: cannot run.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: tlogverify DIR")
		os.Exit(2)
	}
	err := verify(os.Args[1])
	var unread *fs.PathError
	var unusable stumble
	switch {
	case err == nil:
		fmt.Println("accepted")
	case errors.As(err, &unread), errors.As(err, &unusable):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

// stumble is what keeps this program from judging, as a file that cannot be read does.
type stumble struct{ error }

func verify(dir string) error {
	tree, err := checkpoint(dir)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, tiles{dir})
	if err := entries(dir, tree, reader); err != nil {
		return err
	}
	return proofs(dir, tree)
}

func checkpoint(dir string) (tlog.Tree, error) {
	vkey, err := os.ReadFile(filepath.Join(dir, "keys", "log.vkey"))
	if err != nil {
		return tlog.Tree{}, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return tlog.Tree{}, stumble{err}
	}
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("the text is not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errors.New("the root is not 32 bytes")
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

// tiles reads C2SP tile paths, which lack the height of Go's own.
type tiles struct{ dir string }

func (t tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		bytes, err := os.ReadFile(filepath.Join(t.dir, path))
		if err != nil {
			return nil, err
		}
		data = append(data, bytes)
	}
	return data, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func entries(dir string, tree tlog.Tree, reader tlog.HashReader) error {
	for bundle := int64(0); bundle*256 < tree.N; bundle++ {
		tile := tlog.Tile{H: 8, L: 0, N: bundle, W: int(min(256, tree.N-bundle*256))}
		path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		for index := bundle * 256; index < bundle*256+int64(tile.W); index++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return fmt.Errorf("%s: cut off", path)
			}
			length := int(binary.BigEndian.Uint16(data))
			record := tlog.RecordHash(data[2 : 2+length])
			data = data[2+length:]
			stored, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
			if err != nil {
				return err
			}
			if stored[0] != record {
				return fmt.Errorf("entry %d is not in the tree", index)
			}
		}
		if len(data) != 0 {
			return fmt.Errorf("%s: bytes after the last entry", path)
		}
	}
	return nil
}

type proofFile struct {
	Inclusion []struct {
		Index  int64    `json:"index"`
		Size   int64    `json:"size"`
		Leaf   string   `json:"leaf"`
		Hashes []string `json:"hashes"`
		Root   string   `json:"root"`
	} `json:"inclusion"`
	Consistency []struct {
		Old     int64    `json:"old"`
		OldRoot string   `json:"oldRoot"`
		New     int64    `json:"new"`
		NewRoot string   `json:"newRoot"`
		Hashes  []string `json:"hashes"`
	} `json:"consistency"`
}

func proofs(dir string, tree tlog.Tree) error {
	text, err := os.ReadFile(filepath.Join(dir, "proofs.json"))
	if err != nil {
		return err
	}
	var file proofFile
	if err := json.Unmarshal(text, &file); err != nil {
		return stumble{err}
	}
	if len(file.Inclusion) == 0 || len(file.Consistency) == 0 {
		return stumble{errors.New("proofs.json is empty")}
	}
	for _, proof := range file.Inclusion {
		if proof.Size == tree.N && hash(proof.Root) != tree.Hash {
			return errors.New("a proof is for another root")
		}
		err := tlog.CheckRecord(hashes(proof.Hashes), proof.Size, hash(proof.Root), proof.Index, hash(proof.Leaf))
		if err != nil {
			return err
		}
	}
	for _, proof := range file.Consistency {
		err := tlog.CheckTree(hashes(proof.Hashes), proof.New, hash(proof.NewRoot), proof.Old, hash(proof.OldRoot))
		if err != nil {
			return err
		}
	}
	return nil
}

func hashes(texts []string) []tlog.Hash {
	all := []tlog.Hash{}
	for _, text := range texts {
		all = append(all, hash(text))
	}
	return all
}

// hash is all zeros for a malformed text, which matches nothing.
func hash(text string) (h tlog.Hash) {
	bytes, err := hex.DecodeString(text)
	if err == nil && len(bytes) == len(h) {
		copy(h[:], bytes)
	}
	return h
}
