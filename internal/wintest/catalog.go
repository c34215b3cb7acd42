package wintest

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
)

// Catalog is a list of files as security catalogs hold it. Nothing is checked: what makes no sense is built as it is said.
type Catalog struct {
	Version int // 1 or 2
	Made    time.Time
	Members []CatalogMember
}

// CatalogMember is one file of a Catalog.
type CatalogMember struct {
	Hash     []byte // 20 bytes are SHA-1, 32 SHA-256
	ID       []byte // the identifier, if it is not the hash
	Bare     bool   // no SpcIndirectData
	PE       bool   // the hash is that of an executable, without what a signature changes in it
	File, OS string
}

// List returns the CertificateTrustList.
func (c *Catalog) List() []byte {
	var members [][]byte
	for _, m := range c.Members {
		members = append(members, m.entry(c.Version))
	}
	return DER(0x30,
		DER(0x30, DEROID("1.3.6.1.4.1.311.12.1.1")),
		DER(0x04, bytes.Repeat([]byte{0x57}, 16)),
		DERTime(c.Made),
		DER(0x30, DEROID(fmt.Sprintf("1.3.6.1.4.1.311.12.1.%d", c.Version+1)), DER(0x05)),
		DER(0x30, members...),
		DER(0xa0, DER(0x30, nameValue("1.3.6.1.4.1.311.12.2.1", "OS", "Test")...)))
}

// entry returns the TrustedSubject.
func (m *CatalogMember) entry(version int) []byte {
	id := m.ID
	if id == nil {
		if id = m.Hash; version == 1 {
			id = utf16LE(strings.ToUpper(hex.EncodeToString(m.Hash)) + "\x00")
		}
	}
	var attr [][]byte
	if !m.Bare {
		what := DER(0x30, DEROID("1.3.6.1.4.1.311.2.1.25"), DER(0xa2, DER(0x80)))
		if m.PE {
			what = DER(0x30, DEROID("1.3.6.1.4.1.311.2.1.15"),
				DER(0x30, DER(0x03, []byte{5, 0xa0}), DER(0xa0, DER(0xa2, DER(0x80)))))
		}
		attr = append(attr, attribute("1.3.6.1.4.1.311.2.1.4", DER(0x30,
			what,
			DER(0x30, algorithmOf(len(m.Hash)), DER(0x04, m.Hash)))))
	}
	for _, text := range [][2]string{{"OSAttr", m.OS}, {"File", m.File}} {
		if text[1] != "" {
			attr = append(attr, attribute("1.3.6.1.4.1.311.12.2.1", DER(0x30, nameValue("", text[0], text[1])...)))
		}
	}
	return DER(0x30, DER(0x04, id), DER(0x31, attr...))
}

// nameValue is a CatalogNameValue, as an attribute's value or, with an identifier, as an extension.
func nameValue(id, name, text string) [][]byte {
	value := [][]byte{DER(0x1e, utf16BE(name)), DER(0x02, []byte{0x10, 0x01, 0x00, 0x01}), DER(0x04, utf16LE(text+"\x00"))}
	if id == "" {
		return value
	}
	return [][]byte{DER(0x30, DEROID(id), DER(0x04, DER(0x30, value...)))}
}

// Unsigned returns the catalog as makecat makes it, for another program to sign.
func (c *Catalog) Unsigned() []byte {
	return SignedData("1.3.6.1.4.1.311.10.1", c.List(), nil, nil, nil)
}

// SignedData returns a ContentInfo with a SignedData: the hashes' identifiers, the content, the certificates, the SignerInfos.
func SignedData(contentType string, content []byte, digests, certs, signers [][]byte) []byte {
	parts := [][]byte{
		DER(0x02, []byte{1}), DER(0x31, digests...),
		DER(0x30, DEROID(contentType), DER(0xa0, content)),
	}
	if certs != nil {
		parts = append(parts, DER(0xa0, certs...))
	}
	parts = append(parts, DER(0x31, signers...))
	return DER(0x30, DEROID("1.2.840.113549.1.7.2"), DER(0xa0, DER(0x30, parts...)))
}

// DER returns one value: identifier, length, and its parts one after the other.
func DER(identifier byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	var size []byte
	for n := len(content); n > 0; n >>= 8 {
		size = append([]byte{byte(n)}, size...)
	}
	switch {
	case len(content) == 0:
		size = []byte{0}
	case len(content) >= 0x80:
		size = append([]byte{0x80 | byte(len(size))}, size...)
	}
	return append(append([]byte{identifier}, size...), content...)
}

// DEROID returns an OBJECT IDENTIFIER from its dotted form.
func DEROID(dotted string) []byte {
	var id asn1.ObjectIdentifier
	for _, part := range strings.Split(dotted, ".") {
		n := 0
		fmt.Sscan(part, &n)
		id = append(id, n)
	}
	return mustMarshal(id)
}

// DERTime returns a UTCTime.
func DERTime(t time.Time) []byte { return mustMarshal(t.UTC()) }

func mustMarshal(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic(err)
	}
	return der
}

// attribute returns an Attribute with one value.
func attribute(id string, value []byte) []byte { return DER(0x30, DEROID(id), DER(0x31, value)) }

// algorithmOf returns the AlgorithmIdentifier of the hash with that many bytes: MD5, SHA-1, SHA-256.
func algorithmOf(size int) []byte {
	id := map[int]string{
		crypto.MD5.Size():    "1.2.840.113549.2.5",
		crypto.SHA1.Size():   "1.3.14.3.2.26",
		crypto.SHA256.Size(): "2.16.840.1.101.3.4.2.1",
	}[size]
	return DER(0x30, DEROID(id), DER(0x05))
}

func utf16LE(s string) (b []byte) {
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

func utf16BE(s string) (b []byte) {
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, unit)
	}
	return b
}
