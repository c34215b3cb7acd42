package xattr

import "testing"

func TestFormatACL(t *testing.T) {
	entries := []ACLEntry{
		{Owner, 7, 0}, {User, 5, 4711}, {GroupOwner, 4, 0}, {Group, 1, 12}, {Mask, 7, 0}, {Other, 0, 0}, {0x100, 2, 0},
	}
	const want = "u::rwx,u:4711:r-x,g::r--,g:12:--x,m::rwx,o::---,100?::-w-"
	if got := FormatACL(entries); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzACL(f *testing.F) {
	f.Add(EncodeACL([]ACLEntry{{Owner, 7, 0}, {User, 5, 4711}, {Other, 1, 0}}))
	f.Add("\x02\x00\x00\x00")
	f.Add("")
	f.Fuzz(func(t *testing.T, value string) {
		entries, err := ParseACL(value)
		if err != nil {
			return
		}
		again, err := ParseACL(EncodeACL(entries))
		if err != nil || FormatACL(again) != FormatACL(entries) {
			t.Errorf("%v became %v, %v", entries, again, err)
		}
	})
}
