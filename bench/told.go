package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// told is what weir mirror --json says of itself when it ends.
type told struct {
	Event  string `json:"event"`
	Status struct {
		Read     int64 `json:"bytes_read"`
		Compared int64 `json:"names_compared"`
		Replicas []struct {
			Compared time.Time `json:"compared"`
			Durable  time.Time `json:"durable"`
		} `json:"replicas"`
	} `json:"status"`
}

// lastWords finds the event of the end in what weir has printed.
func lastWords(out []byte) (told, error) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var t told
		if json.Unmarshal(lines.Bytes(), &t) == nil && t.Event == "end" && len(t.Status.Replicas) > 0 {
			return t, nil
		}
	}
	return told{}, errors.Join(errors.New("weir has not told how it ended"), lines.Err())
}
