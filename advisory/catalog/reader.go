package catalog

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"time"
)

// value is one value of the distinguished encoding.
type value struct {
	header
	full    []byte // with its header
	content []byte
}

// is reports whether the value has that class and tag.
func (v value) is(class, tag int) bool { return v.class == class && v.tag == tag }

// reader takes values from the start of its data, one after the other. After the first failure it only returns empty values, and
// err says what failed.
type reader struct {
	data []byte
	err  error
}

// read returns a reader of the values within v.
func (r *reader) within(v value) *reader { return &reader{data: v.content, err: r.err} }

// more reports whether there is a further value to take.
func (r *reader) more() bool { return r.err == nil && len(r.data) > 0 }

// peek returns the next value and does not take it; an empty one at the end.
func (r *reader) peek() value {
	if !r.more() {
		return value{}
	}
	h, err := readHeader(r.data)
	if err == nil && h.length < 0 {
		err = errors.New("a value has no length")
	}
	if err != nil {
		r.err = err
		return value{}
	}
	end := h.size + h.length
	return value{header: h, full: r.data[:end:end], content: r.data[h.size:end:end]}
}

// any takes the next value.
func (r *reader) any() value {
	v := r.peek()
	if r.err == nil && v.full == nil {
		r.err = errShort
	}
	r.data = r.data[len(v.full):]
	return v
}

// take takes the next value, which must have that class and tag.
func (r *reader) take(class, tag int) value {
	v := r.any()
	if r.err == nil && !v.is(class, tag) {
		r.err = fmt.Errorf("a value has class %d and tag %d where class %d and tag %d belong", v.class, v.tag, class, tag)
	}
	if r.err != nil {
		return value{}
	}
	return v
}

// optional takes the next value if it has that class and tag.
func (r *reader) optional(class, tag int) (value, bool) {
	if v := r.peek(); v.full == nil || !v.is(class, tag) {
		return value{}, false
	}
	return r.any(), true
}

// sequence takes a SEQUENCE and returns a reader of what is in it.
func (r *reader) sequence() *reader { return r.within(r.take(universal, tagSequence)) }

// join takes over the failure of a reader of something within.
func (r *reader) join(inner *reader) {
	if r.err == nil {
		r.err = inner.err
	}
}

// oid takes an OBJECT IDENTIFIER and returns it in its dotted form.
func (r *reader) oid() string {
	v := r.take(universal, tagOID)
	if r.err != nil {
		return ""
	}
	if len(v.content) > 64 {
		r.err = errors.New("an object identifier has more than 64 bytes")
		return ""
	}
	var id asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(v.full, &id); err != nil {
		r.err = err
		return ""
	}
	return id.String()
}

// algorithm takes an AlgorithmIdentifier and returns its object identifier; its parameters are not used.
func (r *reader) algorithm() string {
	inner := r.sequence()
	id := inner.oid()
	r.join(inner)
	return id
}

// time takes a UTCTime or a GeneralizedTime.
func (r *reader) time() time.Time {
	v := r.any()
	if r.err != nil {
		return time.Time{}
	}
	var t time.Time
	switch {
	case len(v.full) > 40:
		r.err = errors.New("a time has more than 40 bytes")
	case v.is(universal, tagUTCTime), v.is(universal, tagGeneralizedTime):
		if _, err := asn1.Unmarshal(v.full, &t); err != nil {
			r.err = fmt.Errorf("a time is written as %q", v.content)
		}
	default:
		r.err = errors.New("a time is none")
	}
	return t.UTC()
}
