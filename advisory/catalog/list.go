package catalog

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf16"
)

// Object identifiers of the list inside (wincrypt.h, mscat.h, wintrust.h).
const (
	oidCatalogList  = "1.3.6.1.4.1.311.12.1.1"
	oidMembers1     = "1.3.6.1.4.1.311.12.1.2" // subject identifiers are text
	oidMembers2     = "1.3.6.1.4.1.311.12.1.3" // subject identifiers are bytes
	oidNameValue    = "1.3.6.1.4.1.311.12.2.1"
	oidIndirectData = "1.3.6.1.4.1.311.2.1.4"
)

// maxText bounds a name or another text of a member, in characters.
const maxText = 260

// readList reads a CertificateTrustList whose content that is:
//
//	version DEFAULT 0, usage, list identifier OPTIONAL, sequence number OPTIONAL, this update, next update OPTIONAL,
//	algorithm of the subject identifiers, members OPTIONAL, extensions [0] OPTIONAL
func (c *Catalog) readList(content []byte) error {
	r := &reader{data: content}
	r.optional(universal, tagInteger)
	usage := r.sequence()
	if id := usage.oid(); usage.err == nil && id != oidCatalogList {
		usage.err = fmt.Errorf("the list is of use %s and no catalog", id)
	}
	r.join(usage)
	r.optional(universal, tagOctets)
	r.optional(universal, tagInteger)
	c.Made = r.time()
	if next := r.peek(); next.is(universal, tagUTCTime) || next.is(universal, tagGeneralizedTime) {
		r.any()
	}
	kind := r.algorithm()
	if r.err == nil && kind != oidMembers1 && kind != oidMembers2 {
		return fmt.Errorf("the members of the list are of kind %s, which weir does not know", kind)
	}
	if v, ok := r.optional(universal, tagSequence); ok {
		members := r.within(v)
		for members.more() {
			c.readMember(members, kind == oidMembers2)
		}
		r.join(members)
	}
	r.optional(context, 0)
	if r.err == nil && len(r.data) > 0 {
		return errors.New("something follows the list")
	}
	return r.err
}

// readMember takes one entry of the list. Windows finds an entry by its identifier and then compares the hash of its
// SpcIndirectData; so an identifier that is a hash of the same length must be the same.
func (c *Catalog) readMember(list *reader, raw bool) {
	entry := list.sequence()
	id := entry.take(universal, tagOctets)
	var attr attributes
	if v, ok := entry.optional(universal, tagSet); ok {
		attr = readAttributes(entry, v)
	}
	list.join(entry)
	if list.err != nil {
		return
	}
	var m Member
	m.Algorithm, m.Hash = identifierHash(id.content, raw)
	if _, there := attr[oidIndirectData]; there {
		algorithm, hash, err := indirectHash(attr)
		if err != nil || len(hash) == len(m.Hash) && !bytes.Equal(hash, m.Hash) {
			c.Unread++
			return
		}
		m.Algorithm, m.Hash = algorithm, hash
	}
	if m.Hash == nil {
		c.Unread++
		return
	}
	for _, v := range attr[oidNameValue] {
		m.name(v)
	}
	c.Members = append(c.Members, m)
}

// identifierHash is the hash that a subject identifier is, if it is one: bytes, or text in hexadecimal digits.
func identifierHash(id []byte, raw bool) (crypto.Hash, []byte) {
	if !raw {
		text := []byte(decodeUTF16(id, false))
		decoded := make([]byte, hex.DecodedLen(len(text)))
		if _, err := hex.Decode(decoded, text); err != nil {
			return 0, nil
		}
		id = decoded
	}
	switch len(id) {
	case crypto.SHA1.Size():
		return crypto.SHA1, id
	case crypto.SHA256.Size():
		return crypto.SHA256, id
	}
	return 0, nil
}

// indirectHash is the hash of SpcIndirectDataContent: a description of what was hashed, and DigestInfo.
func indirectHash(attr attributes) (crypto.Hash, []byte, error) {
	v, err := attr.only(oidIndirectData)
	if err != nil {
		return 0, nil, err
	}
	r := &reader{data: v.full}
	data := r.sequence()
	data.take(universal, tagSequence)
	info := data.sequence()
	id := info.algorithm()
	hash := info.take(universal, tagOctets).content
	if info.err != nil {
		return 0, nil, info.err
	}
	algorithm, err := hashOf(id)
	if err != nil {
		return 0, nil, err
	}
	if algorithm != crypto.SHA1 && algorithm != crypto.SHA256 || len(hash) != algorithm.Size() {
		return 0, nil, errors.New("the hash is of another kind or length")
	}
	return algorithm, hash, nil
}

// name takes the file's name or its systems from a CatalogNameValue: a BMPString, flags, and a value in UTF-16.
func (m *Member) name(v value) {
	r := &reader{data: v.full}
	pair := r.sequence()
	tag := pair.take(universal, tagBMPString)
	pair.take(universal, tagInteger)
	text := pair.take(universal, tagOctets)
	if pair.err != nil {
		return
	}
	switch decodeUTF16(tag.content, true) {
	case "File":
		m.File = printable(decodeUTF16(text.content, false))
	case "OSAttr":
		m.OS = printable(decodeUTF16(text.content, false))
	}
}

// decodeUTF16 reads at most maxText units of text, up to a NUL.
func decodeUTF16(b []byte, bigEndian bool) string {
	low, high := 0, 1
	if bigEndian {
		low, high = 1, 0
	}
	var units []uint16
	for i := 0; i+1 < len(b) && len(units) < maxText; i += 2 {
		unit := uint16(b[i+low]) | uint16(b[i+high])<<8
		if unit == 0 {
			break
		}
		units = append(units, unit)
	}
	return string(utf16.Decode(units))
}
