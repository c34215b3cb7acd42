package xattr

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// Tag says whom an entry of an access control list is for: acl(5).
type Tag uint16

// The tags of <linux/posix_acl_xattr.h>.
const (
	Owner      Tag = 0x01
	User       Tag = 0x02
	GroupOwner Tag = 0x04
	Group      Tag = 0x08
	Mask       Tag = 0x10
	Other      Tag = 0x20
)

// ACLEntry is one entry of an access control list.
type ACLEntry struct {
	Tag  Tag
	Perm uint16 // 4 read, 2 write, 1 execute
	ID   uint32 // of User and Group
}

const (
	aclVersion = 2
	aclHeader  = 4
	aclEntry   = 8
)

// ErrACL is returned for a value that is no access control list.
var ErrACL = errors.New("malformed access control list")

// ParseACL decodes the value of system.posix_acl_access or system.posix_acl_default.
func ParseACL(value string) ([]ACLEntry, error) {
	b := []byte(value)
	if len(b) < aclHeader || (len(b)-aclHeader)%aclEntry != 0 || binary.LittleEndian.Uint32(b) != aclVersion {
		return nil, ErrACL
	}
	var entries []ACLEntry
	for b = b[aclHeader:]; len(b) > 0; b = b[aclEntry:] {
		entries = append(entries, ACLEntry{
			Tag:  Tag(binary.LittleEndian.Uint16(b)),
			Perm: binary.LittleEndian.Uint16(b[2:]),
			ID:   binary.LittleEndian.Uint32(b[4:]),
		})
	}
	return entries, nil
}

// noID is what entries without an owner hold.
const noID = ^uint32(0)

// EncodeACL is the inverse of ParseACL.
func EncodeACL(entries []ACLEntry) string {
	b := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range entries {
		if e.Tag != User && e.Tag != Group {
			e.ID = noID
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(e.Tag))
		b = binary.LittleEndian.AppendUint16(b, e.Perm)
		b = binary.LittleEndian.AppendUint32(b, e.ID)
	}
	return string(b)
}

// FormatACL shows a list in the short text form of acl(5), with numbers for users and groups:
// "u::rw-,u:1000:r--,g::r--,m::r--,o::---".
func FormatACL(entries []ACLEntry) string {
	var parts []string
	for _, e := range entries {
		parts = append(parts, e.String())
	}
	return strings.Join(parts, ",")
}

// String shows one entry.
func (e ACLEntry) String() string {
	kind, id := "", ""
	switch e.Tag {
	case Owner:
		kind = "u"
	case User:
		kind, id = "u", strconv.FormatUint(uint64(e.ID), 10)
	case GroupOwner:
		kind = "g"
	case Group:
		kind, id = "g", strconv.FormatUint(uint64(e.ID), 10)
	case Mask:
		kind = "m"
	case Other:
		kind = "o"
	default:
		kind = strconv.FormatUint(uint64(e.Tag), 16) + "?"
	}
	perm := []byte("rwx")
	for i := range perm {
		if e.Perm&(4>>i) == 0 {
			perm[i] = '-'
		}
	}
	return kind + ":" + id + ":" + string(perm)
}
