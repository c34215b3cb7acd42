package verify

// Rule is one thing that a filter has to keep to.
type Rule struct {
	ID   string
	Says string // the rule, in a full clause
	Do   string // what an author does who has broken it
}

// The rules, by their IDs.
const (
	preStatus        = "pre-status"
	postStatus       = "post-status"
	noPost           = "no-post"
	keptUnseen       = "kept-unseen"
	noResult         = "no-result"
	failedClose      = "failed-close"
	lostResult       = "lost-result"
	neverResumed     = "never-resumed"
	notPended        = "not-pended"
	doubleResume     = "double-resume"
	lateResume       = "late-resume"
	useAfterEnd      = "use-after-end"
	notMarked        = "not-marked"
	immutable        = "immutable"
	changedInPost    = "changed-in-post"
	dataInPlace      = "data-in-place"
	pendDraining     = "pend-draining"
	changedDraining  = "changed-draining"
	leakedHold       = "leaked-hold"
	leakedContext    = "leaked-context"
	leakedLease      = "leaked-lease"
	overRelease      = "over-release"
	useAfterRelease  = "use-after-release"
	useAfterTeardown = "use-after-teardown"
	contextKind      = "context-kind"
	recursion        = "recursion"
	slowSetup        = "slow-setup"
	slowCallback     = "slow-callback"
	setupTeardown    = "setup-teardown"
	callbackOutside  = "callback-outside"
	mandatoryRefusal = "mandatory-refusal"
	altitudeGroup    = "altitude-group"
	openPort         = "open-port"
	retarget         = "retarget"
	outOfOrder       = "out-of-order"
	keptSlice        = "kept-slice"
	wantInside       = "want-inside"
	wrongTime        = "wrong-time"
)

// Rules lists all rules.
func Rules() []Rule {
	return []Rule{
		{preStatus, "Pre returns a status of weir.PreStatus, and so does who resumes", "return one of PreContinue, PreSkipPost, PreSynchronize, PrePend and PreComplete; PrePend does not resume"},
		{postStatus, "Post returns PostFinished or PostPend", "return PostFinished"},
		{noPost, "PreSynchronize is for operations that come back", "name the operation in Filter.After, or return PreContinue"},
		{keptUnseen, "a value is kept for a Post that will be called", "name the operation in Filter.After, or do not call Keep with PreSkipPost and PreComplete"},
		{noResult, "PreComplete has a result that the program can use", "set Result().Err, or what the operation returns: the Object of a creation, the Open of an open, the N of a write"},
		{failedClose, "a close does not fail: the descriptor is gone whatever it returns", "return PreContinue for OpClose"},
		{lostResult, "only PreComplete has a result: the operation overwrites that of others", "return PreComplete, or set the result in Post"},
		{neverResumed, "what is pended is resumed: in time, when its program gives up, and when the teardown starts", "call ResumePre or ResumePost on every way; watch the ctx of Pre; implement weir.TeardownStarter; package pend does the last two, and within 30 s whoever decides has to Take the operation and resume it"},
		{notPended, "only an operation that is pended is resumed", "return PrePend or PostPend from the callback whose operation is resumed"},
		{doubleResume, "an operation is resumed once", "let one goroutine own the call, as package pend does"},
		{lateResume, "an operation is resumed before the instance has ended", "resume in TeardownStart what is still pended"},
		{useAfterEnd, "a call is used only while the operation is with the filter", "take what is needed out of the call before it goes on, and do not keep it"},
		{notMarked, "what Pre changes in the parameters is marked, or it has no effect", "call MarkDirty after the change, before Pre returns or the operation is resumed"},
		{immutable, "Op and PID are not changed", "complete the operation, and issue another one with Host.Issue"},
		{changedInPost, "Post does not change the parameters: nobody would see it", "change them in Pre, or change the result"},
		{dataInPlace, "the bytes of a write belong to the program", "put the changed bytes into a slice of the filter's own, set Data to it, and call MarkDirty"},
		{pendDraining, "a draining Post does not pend", "look at Draining first, and return PostFinished"},
		{changedDraining, "a draining Post changes nothing: the operation goes on without it", "look at Draining first, and free only what was kept"},
		{leakedHold, "who holds an instance releases it before it ends", "call release on every way, also when the work fails"},
		{leakedContext, "every reference to a context is released before the instance ends", "call Release once for every SetContext and Context that had no error"},
		{leakedLease, "who borrows a volume gives it back before Concerns returns, or the instance ends", "close the Lease within milliseconds, on every way, and at once when its Done is closed"},
		{overRelease, "a reference is released once", "call Release where the reference was taken, and nowhere else"},
		{useAfterRelease, "a context is not used after its release", "call Release when the value is needed no more"},
		{useAfterTeardown, "the host is not used, and the volume not borrowed, after Teardown has returned", "let Teardown wait for the filter's goroutines, or take a Hold for them"},
		{contextKind, "contexts are of the kinds that the filter has registered, on an object that the key names", "name the kind in Filter.Contexts, and the file or open in the key"},
		{recursion, "what a filter does inside a callback does not come back to it, or to those above; found where the ctx of the callback is passed on", "use Host.Issue of the instance itself, which only those below see"},
		{keptSlice, "Completed keeps neither its slice nor a pointer into it, which package weirtest finds out", "copy the operations"},
		{wantInside, "Host.Want is not called in Completed, Pre or Post", "hand it to a goroutine, which ends in Teardown"},
		{wrongTime, "the times that Host.Missed and Host.Scanned are given have been", "take time.Now() before the scan looks at the first object, and note until when nothing was missed"},
		{slowSetup, "Concerns, Setup, Passed, Admit, Remarks, Ignores and Unload return soon", "start long work on a goroutine, and end it in Teardown"},
		{slowCallback, "callbacks return soon: whoever does the operation waits", "pend the operation, or hand the work to a goroutine"},
		{setupTeardown, "each set-up makes one instance of its own, or returns an error, and each is torn down once", "return a new instance, or nil and an error"},
		{callbackOutside, "an instance is called between its Setup and its Teardown", "this is a fault of the manager: report it"},
		{mandatoryRefusal, "a mandatory unloading is not refused", "return nil if mandatory is true"},
		{openPort, "Connect returns when its ctx ends", "give ctx to Send and Receive, and return when they fail"},
		{retarget, "an operation is sent to a volume on which the filter has an instance at the same altitude", "take the volume from the Site of such an instance, and hold that instance until Pre has returned"},
		{outOfOrder, "operations pass instances from high to low altitude on their way down, and from low to high on their way back and when they have completed", "this is a fault of the manager: report it"},
		{altitudeGroup, "the altitude is in a load-order group", "choose one by weir.Groups"},
	}
}

// ruleOf returns the rule of that ID.
func ruleOf(id string) Rule {
	for _, r := range Rules() {
		if r.ID == id {
			return r
		}
	}
	return Rule{ID: id}
}
