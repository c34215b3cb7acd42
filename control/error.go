package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/weirfs/weir"
)

// failure is a weir.Error on its way. Path is as weir.QuotePath makes it.
type failure struct {
	Op    string    `json:"op"`
	Kind  weir.Kind `json:"kind"`
	Path  string    `json:"path,omitempty"`
	Error string    `json:"error"`
	Hint  string    `json:"hint,omitempty"`
}

// failureOf translates an error. One that is no weir.Error, or says more than the one that it wraps, is told by what was
// asked for.
func failureOf(op string, err error) failure {
	var e *weir.Error
	if !errors.As(err, &e) || e.Error() != err.Error() || e.Err == nil {
		e = &weir.Error{Op: op, Kind: weir.KindOf(err), Err: err}
	}
	f := failure{Op: e.Op, Kind: e.Kind, Error: e.Err.Error(), Hint: e.Hint}
	if e.Path != "" {
		f.Path = weir.QuotePath(e.Path)
	}
	return f
}

// err translates back.
func (f failure) err() error {
	e := &weir.Error{Op: f.Op, Kind: f.Kind, Err: errors.New(f.Error), Hint: f.Hint}
	if f.Path != "" {
		e.Path = weir.UnquotePath(f.Path)
	}
	return e
}

// statusOf returns the HTTP status of an error.
func statusOf(err error) int {
	var own *statusError
	if errors.As(err, &own) {
		return own.status
	}
	switch weir.KindOf(err) {
	case weir.KindRefused:
		return http.StatusBadRequest
	case weir.KindUnsupported:
		return http.StatusNotImplemented
	case weir.KindAbsent:
		return http.StatusNotFound
	case weir.KindBehind:
		return http.StatusServiceUnavailable
	case weir.KindDiffers:
		return http.StatusConflict
	default:
		return http.StatusInternalServerError
	}
}

// statusError is a refusal for which HTTP has a status of its own.
type statusError struct {
	error
	status int
}

func (e *statusError) Unwrap() error { return e.error }

// answeredWith reads the error that an answer holds.
func answeredWith(status string, body []byte) error {
	var f failure
	if err := json.Unmarshal(body, &f); err != nil || f.Error == "" {
		return &weir.Error{Op: "ask weir", Err: fmt.Errorf("it answers %s", status),
			Hint: "see whether what serves the socket is a weir of this version"}
	}
	return f.err()
}

// refusal is input that is not accepted.
func refusal(op, what string, err error, hint string) error {
	return &weir.Error{Op: op, Kind: weir.KindRefused, Path: what, Err: err, Hint: hint}
}
