package freshness_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/exercise/freshness"
	"clicktocode.example/03-reverse-proxy/httpcache"
)

// noon is when the origin made the responses here, if their Date says nothing else.
var noon = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

func TestLifetime(t *testing.T) {
	t.Run("is_what_max-age_says", func(t *testing.T) {
		lifetime(t, time.Minute, response("Cache-Control: max-age=60"),
			"max-age is a lifetime in seconds (RFC 9111 §5.2.2.1)")
	})

	t.Run("prefers_s-maxage_to_max-age", func(t *testing.T) {
		const rule = "s-maxage is for a cache that serves many, as this one does, and there it overrides max-age, in whatever order they stand (RFC 9111 §5.2.2.10)"
		lifetime(t, 10*time.Minute, response("Cache-Control: max-age=60, s-maxage=600"), rule)
		lifetime(t, 5*time.Second, response("Cache-Control: s-maxage=5, max-age=60"), rule)
	})

	t.Run("prefers_max-age_to_Expires", func(t *testing.T) {
		const rule = "Expires counts only where there is neither s-maxage nor max-age (RFC 9111 §5.3)"
		lifetime(t, time.Minute, response("Date: "+at(0), "Expires: "+at(time.Hour), "Cache-Control: max-age=60"), rule)
		lifetime(t, time.Minute, response("Date: "+at(0), "Expires: 0", "Cache-Control: max-age=60"), rule)
	})

	t.Run("is_Expires_less_Date", func(t *testing.T) {
		const rule = "the lifetime is Expires less Date. Both are by the origin's clock, and by ours they may be an hour off (RFC 9111 §4.2.1)"
		lifetime(t, time.Hour, response("Date: "+at(0), "Expires: "+at(time.Hour)), rule)
		r := response("Date: "+at(time.Hour), "Expires: "+at(90*time.Minute))
		lifetime(t, 30*time.Minute, r, rule)
		r = response("Date: "+at(-time.Hour), "Expires: "+at(30*time.Minute))
		lifetime(t, 90*time.Minute, r, rule)
	})

	t.Run("is_0_for_Expires_before_Date", func(t *testing.T) {
		const rule = "it has expired before it came, and 0 is the least there is"
		lifetime(t, 0, response("Date: "+at(0), "Expires: "+at(-time.Hour)), rule)
		lifetime(t, 0, response("Date: "+at(400*time.Second), "Expires: "+at(300*time.Second)), rule)
	})

	t.Run("is_0_for_Expires_that_is_no_date", func(t *testing.T) {
		for _, expires := range []string{"0", "-1", "soon"} {
			lifetime(t, 0, response("Date: "+at(0), "Expires: "+expires, "Last-Modified: "+at(-10*time.Hour)),
				"an Expires that cannot be read, and above all 0, means: it has expired already (RFC 9111 §5.3). It is there, so nothing is to be guessed from Last-Modified")
		}
	})

	t.Run("is_0_for_Expires_without_a_value", func(t *testing.T) {
		lifetime(t, 0, response("Date: "+at(0), "Expires: ", "Last-Modified: "+at(-10*time.Hour)),
			`Expires is there, and says nothing that could be read: it has expired already (RFC 9111 §5.3). Header.Get cannot tell that from an Expires that is absent, since it returns "" for both: ask whether Header.Values returns nil`)
	})

	t.Run("is_0_for_a_number_that_cannot_be_read", func(t *testing.T) {
		const rule = "a lifetime that cannot be read makes the response stale (RFC 9111 §4.2.1). Whatever comes further down the list could be a year"
		for _, control := range []string{"max-age=soon", "max-age", "max-age=-60", "max-age=60.5", "max-age=60s", "max-age =60", "max-age='60'", "s-maxage=soon, max-age=60"} {
			lifetime(t, 0, response("Cache-Control: "+control, "Date: "+at(0), "Expires: "+at(time.Hour)), rule)
		}
	})

	t.Run("takes_0_for_an_answer", func(t *testing.T) {
		const rule = "0 is a lifetime like others, and what comes further down the list does not count (RFC 9111 §4.2.1)"
		lifetime(t, 0, response("Cache-Control: s-maxage=0, max-age=60"), rule)
		lifetime(t, 0, response("Cache-Control: max-age=0", "Date: "+at(0), "Expires: "+at(time.Hour)), rule)
		lifetime(t, 0, response("Cache-Control: max-age=0", "Date: "+at(0), "Last-Modified: "+at(-10*time.Hour)), rule)
	})

	t.Run("is_0_with_no-cache", func(t *testing.T) {
		const rule = "no-cache: it must not be used before the origin was asked, however young it is, and whatever else says how long it would be fresh (RFC 9111 §5.2.2.4)"
		lifetime(t, 0, response("Cache-Control: max-age=60, no-cache"), rule)
		lifetime(t, 0, response("Cache-Control: s-maxage=60, no-cache"), rule)
		lifetime(t, 0, response("Cache-Control: no-cache", "Date: "+at(0), "Expires: "+at(time.Hour)), rule)
		lifetime(t, 0, response("Cache-Control: no-cache", "Date: "+at(0), "Last-Modified: "+at(-10*time.Hour)), rule)
	})

	t.Run("is_not_0_with_no-cache_for_single_fields", func(t *testing.T) {
		lifetime(t, time.Minute, response(`Cache-Control: no-cache="x-basket", max-age=60`),
			"this no-cache is about the field X-Basket alone, and max-age about the response (RFC 9111 §5.2.2.4): see Unqualified")
	})

	t.Run("is_0_with_no-cache_whose_fields_cannot_be_read", func(t *testing.T) {
		const rule = "this no-cache has an argument, but that names no field. A fault must not make a response fresher than its author wanted, so it is about the whole response: see Unqualified"
		lifetime(t, 0, response("Cache-Control: no-cache=, max-age=60"), rule)
		lifetime(t, 0, response(`Cache-Control: no-cache="a b", max-age=60`), rule)
	})

	t.Run("is_as_long_with_must-revalidate", func(t *testing.T) {
		const rule = "must-revalidate and proxy-revalidate say what to do with a response once it is stale, and not when that is: until then it is used as any other (RFC 9111 §5.2.2.2, §5.2.2.8)"
		lifetime(t, time.Minute, response("Cache-Control: max-age=60, must-revalidate"), rule)
		lifetime(t, time.Minute, response("Cache-Control: max-age=60, proxy-revalidate"), rule)
	})

	t.Run("is_as_long_with_stale-while-revalidate", func(t *testing.T) {
		const rule = "stale-while-revalidate and stale-if-error say for how long it may be used though it is stale (RFC 5861 §3, §4). They make it no fresher: who asks the lifetime has to hear when it is time to ask the origin"
		lifetime(t, time.Minute, response("Cache-Control: max-age=60, stale-while-revalidate=30"), rule)
		lifetime(t, time.Minute, response("Cache-Control: max-age=60, stale-if-error=3600"), rule)
	})

	t.Run("is_as_long_with_private_or_no-store", func(t *testing.T) {
		const rule = "private and no-store say whether a response may be stored (RFC 9111 §5.2.2.5, §5.2.2.7). That is another question, which package storable answers: they are no lifetime"
		lifetime(t, time.Minute, response("Cache-Control: max-age=60, private"), rule)
		lifetime(t, time.Minute, response("Cache-Control: max-age=60, no-store"), rule)
	})

	t.Run("is_as_long_however_old_it_came", func(t *testing.T) {
		lifetime(t, time.Minute, response("Cache-Control: max-age=60", "Date: "+at(-40*time.Second), "Age: 40"),
			"a lifetime counts from when the origin made it, and Age is compared with it. To take off here what Age says would count that twice (RFC 9111 §4.2)")
	})

	t.Run("is_as_long_with_immutable", func(t *testing.T) {
		lifetime(t, time.Minute, response("Cache-Control: max-age=60, immutable"),
			"immutable says that nobody need ask again while the response is fresh. How long that is, max-age says, and immutable adds nothing to it (RFC 8246 §2)")
	})

	t.Run("takes_the_time_it_came_where_there_is_no_Date", func(t *testing.T) {
		const rule = "without a Date that can be read, the time when it came stands for it (RFC 9110 §6.6.1): see sent"
		r := response("Expires: " + at(time.Hour))
		r.Received = noon.Add(10 * time.Minute)
		lifetime(t, 50*time.Minute, r, rule)
		r = response("Date: midday", "Expires: "+at(time.Hour))
		lifetime(t, time.Hour, r, rule)
		r = response("Last-Modified: " + at(-10*time.Hour))
		lifetime(t, time.Hour, r, rule+". So there is something to guess from: a tenth of the time from Last-Modified")
	})

	t.Run("follows_a_targeted_field", func(t *testing.T) {
		const rule = "CDN-Cache-Control is for caches like this one, and takes the place of Cache-Control (RFC 9213 §2.2): see httpcache.ResponseDirectives"
		lifetime(t, 10*time.Minute, response("Cache-Control: s-maxage=60", "CDN-Cache-Control: max-age=600"), rule)
		lifetime(t, 10*time.Minute, response("Cache-Control: no-cache", "CDN-Cache-Control: max-age=600"), rule)
	})

	t.Run("ignores_Expires_beside_a_targeted_field", func(t *testing.T) {
		const rule = "where CDN-Cache-Control holds, Expires is to be ignored as Cache-Control is (RFC 9213 §2.2): see Targeted. So it goes on as if Expires were not there"
		lifetime(t, 0, response("CDN-Cache-Control: public", "Date: "+at(0), "Expires: "+at(time.Hour)), rule)
	})

	t.Run("counts_Expires_beside_a_targeted_field_that_is_broken", func(t *testing.T) {
		lifetime(t, time.Hour, response(`CDN-Cache-Control: max-age="60"`, "Date: "+at(0), "Expires: "+at(time.Hour)),
			"this CDN-Cache-Control has a fault, for a number there has no quotes. So it does not count, and Expires does (RFC 9213 §2.1)")
	})

	t.Run("guesses_a_tenth_of_the_time_since_it_changed", func(t *testing.T) {
		const rule = "nothing says how long it may be used. A tenth of the time from Last-Modified to Date is the usual guess (RFC 9111 §4.2.2)"
		lifetime(t, time.Hour, response("Date: "+at(0), "Last-Modified: "+at(-10*time.Hour)), rule)
		lifetime(t, time.Minute, response("Date: "+at(time.Hour), "Last-Modified: "+at(50*time.Minute)), rule)
	})

	t.Run("guesses_beside_directives_that_are_no_lifetime", func(t *testing.T) {
		for _, control := range []string{"must-revalidate", "no-transform", `no-cache="x-basket"`} {
			lifetime(t, time.Hour, response("Cache-Control: "+control, "Date: "+at(0), "Last-Modified: "+at(-10*time.Hour)),
				"there is a Cache-Control, but it states no lifetime, and Expires is not there. So it is guessed: a tenth of the time from Last-Modified to Date (RFC 9111 §4.2.2)")
		}
	})

	t.Run("guesses_where_the_directives_are_targeted", func(t *testing.T) {
		lifetime(t, time.Hour, response("CDN-Cache-Control: public", "Date: "+at(0), "Last-Modified: "+at(-10*time.Hour)),
			"CDN-Cache-Control is there, but states no lifetime, and nothing else does. So it is guessed, as with Cache-Control: a tenth of the time from Last-Modified to Date (RFC 9111 §4.2.2)")
	})

	t.Run("guesses_where_Expires_is_ignored", func(t *testing.T) {
		lifetime(t, time.Hour, response("CDN-Cache-Control: public", "Date: "+at(0), "Expires: "+at(2*time.Hour), "Last-Modified: "+at(-10*time.Hour)),
			"where CDN-Cache-Control holds, Expires is ignored (RFC 9213 §2.2): it is neither the lifetime nor a reason not to guess one. As if it were not there, the guess is a tenth of the time from Last-Modified to Date (RFC 9111 §4.2.2)")
	})

	t.Run("guesses_a_day_at_most", func(t *testing.T) {
		lifetime(t, freshness.MaxHeuristic, response("Date: "+at(0), "Last-Modified: Mon, 02 Mar 2020 12:00:00 GMT"),
			"what rested for years may change tomorrow: a guess is at most MaxHeuristic")
	})

	t.Run("does_not_guess_without_Last-Modified", func(t *testing.T) {
		const rule = "there is no Last-Modified that can be read, and so nothing to guess from: it is stale from the beginning"
		lifetime(t, 0, response("Date: "+at(0)), rule)
		lifetime(t, 0, response("Date: "+at(0), "Last-Modified: lately"), rule)
	})

	t.Run("guesses_0_where_it_changed_after_Date", func(t *testing.T) {
		lifetime(t, 0, response("Date: "+at(0), "Last-Modified: "+at(10*time.Hour)),
			"it changed, it says, 10 h after it was sent. From Last-Modified to Date is less than nothing then, and counts as 0, of which a tenth is 0: see span")
	})

	t.Run("guesses_where_the_status_allows_it", func(t *testing.T) {
		for status := 200; status < 600; status++ {
			want, rule := time.Duration(0), "a response of this status has only the lifetime that it states (RFC 9110 §15.1, RFC 9111 §4.2.2): see httpcache.HeuristicallyCacheable"
			if slices.Contains([]int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}, status) {
				want, rule = time.Hour, "this status is heuristically cacheable (RFC 9110 §15.1)"
			}
			if status == 206 || status == 304 {
				continue // neither is ever stored
			}
			r := response("Date: "+at(0), "Last-Modified: "+at(-10*time.Hour))
			r.Status = status
			lifetime(t, want, r, rule)
		}
	})

	t.Run("believes_a_lifetime_whatever_the_status", func(t *testing.T) {
		r := response("Cache-Control: max-age=60")
		r.Status = 503
		lifetime(t, time.Minute, r, "the status matters only where the lifetime is guessed. This one states it (RFC 9111 §4.2.1)")
	})

	t.Run("guesses_where_public_allows_it", func(t *testing.T) {
		r := response("Cache-Control: public", "Date: "+at(0), "Last-Modified: "+at(-10*time.Hour))
		r.Status = 302
		lifetime(t, time.Hour, r, "public allows to guess whatever the status (RFC 9111 §4.2.2)")
	})

	t.Run("is_68_years_at_most", func(t *testing.T) {
		const rule = "a lifetime is at most httpcache.MaxSeconds, so that what is added to it does not overflow (RFC 9111 §1.2.2)"
		lifetime(t, httpcache.MaxSeconds, response("Cache-Control: max-age=99999999999"), rule)
		lifetime(t, httpcache.MaxSeconds, response("Date: "+at(0), "Expires: Fri, 31 Dec 9999 23:59:59 GMT"), rule)
	})

	t.Run("reads_dates_of_all_three_forms", func(t *testing.T) {
		for _, expires := range []string{
			"Mon, 02 Mar 2026 13:00:00 GMT", "MON, 02 mar 2026 13:00:00 gmt", "Sat, 02 Mar 2026 13:00:00 GMT", // the weekday decides nothing
			"Monday, 02-Mar-26 13:00:00 GMT", "Mon Mar  2 13:00:00 2026",
		} {
			lifetime(t, time.Hour, response("Date: "+at(0), "Expires: "+expires), "this is a date (RFC 9110 §5.6.7; RFC 9111 §4.2 on capitals): see date")
		}
		for expires, want := range map[string]time.Duration{"Monday, 02-Mar-75 12:00:00 GMT": 49, "Monday, 02-Mar-76 12:00:00 GMT": 50, "Monday, 03-Mar-76 12:00:00 GMT": 0, "Monday, 02-Mar-99 12:00:00 GMT": 0} {
			lifetime(t, noon.AddDate(int(want), 0, 0).Sub(noon), response("Date: "+at(0), "Expires: "+expires), "a year of two digits is at most 50 years ahead, and otherwise past (RFC 9110 §5.6.7): see date")
		}
	})

	t.Run("refuses_what_is_nearly_a_date", func(t *testing.T) {
		for _, expires := range []string{
			"Mon, 02 Mar 2026 13:00:00 UTC", "Mon, 02 Mar 2026 13:00:00 PST", "Mon, 02 Mar 2026 13:00:00 +0000", "Mon, 02 Mar 2026 13:00:00",
			"Mon, 02 Mar 26 13:00:00 GMT", "Mon 02 Mar 2026 13:00:00 GMT", "Mon, 02  Mar 2026 13:00:00 GMT", "Mon,  02 Mar 2026 13:00:00 GMT", "Mon, 2 Mar 2026 13:00:00 GMT",
			"Mon, 02-Mar-2026 13:00:00 GMT", "Mon, 02 Mar 2026 13.00.00 GMT", "Mon, 02 Mar 2026 1:00:00 GMT", "Mon, 02 Mar 2026 13:00:00.5 GMT",
			"Mon, 31 Feb 2027 13:00:00 GMT", "Mon, 02 Mar 2026 25:00:00 GMT", "Monday, 02-Mar-26 13:00:00 PST", "Monday, 02-Mar-26 13:00:00 EST",
			"2026-03-02T13:00:00Z", "1772456400", "Mon, 02 Mar 2026 13:00:00 GMT, Mon, 02 Mar 2026 13:00:00 GMT",
		} {
			lifetime(t, 0, response("Date: "+at(0), "Expires: "+expires), "this is no date as RFC 9110 §5.6.7 has it, so it has expired (RFC 9111 §4.2, §5.3): see date")
		}
	})
}

func TestAge(t *testing.T) {
	const stay = 100 * time.Second // as long it has been here

	t.Run("grows_while_it_is_stored", func(t *testing.T) {
		for _, stay := range []time.Duration{0, time.Second, 1500 * time.Millisecond, stay, 24 * time.Hour} {
			age(t, stay, response("Date: "+at(0)), stay, "it came as it was made. Since then it has been here: from Received to now (RFC 9111 §4.2.3, resident_time)")
		}
	})

	t.Run("adds_what_Age_says", func(t *testing.T) {
		age(t, 130*time.Second, response("Date: "+at(0), "Age: 30"), stay, "Age says how old it was when it came, and here it got older still (RFC 9111 §4.2.3, age_value)")
	})

	t.Run("adds_the_time_that_the_request_took", func(t *testing.T) {
		r := response("Date: "+at(0), "Age: 30")
		r.Requested = r.Received.Add(-5 * time.Second)
		age(t, 135*time.Second, r, stay, "from Requested to Received, 5 s, it may have been under way. That is added to Age, which was right at the other end (RFC 9111 §4.2.3, corrected_age_value)")
	})

	t.Run("adds_it_where_no_Age_is_said", func(t *testing.T) {
		r := response("Date: " + at(0))
		r.Requested = r.Received.Add(-5 * time.Second)
		age(t, 105*time.Second, r, stay, "an Age that is absent counts as 0, and the time from Requested to Received, 5 s, is still added to it: the response may have been under way for all of that (RFC 9111 §4.2.3, age_value and corrected_age_value)")
	})

	t.Run("counts_from_Date_where_no_Age_is_said", func(t *testing.T) {
		age(t, 300*time.Second, response("Date: "+at(-200*time.Second)), stay, "when it came, it was 200 s old by its Date. A cache that was asked on the way may not have said so in Age (RFC 9111 §4.2.3, apparent_age)")
	})

	t.Run("takes_the_greater_of_Age_and_Date", func(t *testing.T) {
		const rule = "by Age and by Date are two ways to tell the same, how old it was when it came. The greater one counts, not their sum (RFC 9111 §4.2.3, corrected_initial_age)"
		age(t, 300*time.Second, response("Date: "+at(-200*time.Second), "Age: 30"), stay, rule)
		age(t, 400*time.Second, response("Date: "+at(-200*time.Second), "Age: 300"), stay, rule)
	})

	t.Run("counts_the_way_once_by_Date", func(t *testing.T) {
		r := response("Date: " + at(-200*time.Second))
		r.Requested = r.Received.Add(-5 * time.Second)
		age(t, 300*time.Second, r, stay, "when it came, it was 200 s old by its Date: that is from Date to Received, and the 5 s from Requested to Received are a part of it. They are added to what Age says and not to this, and are not taken off it, either (RFC 9111 §4.2.3, apparent_age)")
	})

	t.Run("is_135_s_in_the_lesson", func(t *testing.T) {
		r := response("Date: "+at(-35*time.Second), "Age: 30")
		r.Requested = r.Received.Add(-5 * time.Second)
		age(t, 135*time.Second, r, stay, "by Age and the way it was 30 + 5 s old when it came, and by Date 35 s. The greater of the two is 35 s, and 100 s it has been here (RFC 9111 §4.2.3)")
	})

	t.Run("does_not_get_younger_by_a_clock_that_is_ahead", func(t *testing.T) {
		age(t, stay, response("Date: "+at(50*time.Second)), stay, "the origin's clock is 50 s ahead of ours, so by its Date it comes from the future. By that alone it is 0 s old, and not less (RFC 9111 §4.2.3, apparent_age)")
	})

	t.Run("does_without_Date", func(t *testing.T) {
		const rule = "without a Date that can be read, the time when it came stands for it (RFC 9110 §6.6.1): see sent"
		age(t, 130*time.Second, response("Age: 30"), stay, rule)
		age(t, 130*time.Second, response("Date: midday", "Age: 30"), stay, rule)
	})

	t.Run("takes_the_first_of_several_ages", func(t *testing.T) {
		const rule = "Age ought to be one number. Of several, on one line or more, the first counts (RFC 9111 §5.1)"
		age(t, 130*time.Second, response("Date: "+at(0), "Age: 30, 9000"), stay, rule)
		age(t, 130*time.Second, response("Date: "+at(0), "Age: 30", "Age: 9000"), stay, rule)
	})

	t.Run("takes_off_the_blanks_before_a_comma", func(t *testing.T) {
		for _, value := range []string{"9000 , 30", "9000\t, 30", " \t9000, 30"} {
			age(t, 9100*time.Second, response("Date: "+at(0), "Age: "+value), stay, "around a member of a list may be spaces and tabs, which belong to no member (RFC 9110 §5.6.1). The first member is 9000, and without what is around it that is a number")
		}
	})

	t.Run("ignores_an_Age_that_is_no_number", func(t *testing.T) {
		for _, value := range []string{"", "old", "-30", "+30", "30.0", "30s", "30;x=1", `"30"`} {
			age(t, stay, response("Date: "+at(0), "Age: "+value), stay, "Age is a number of seconds, and what is none does not count (RFC 9111 §5.1): see httpcache.ParseSeconds")
		}
	})

	t.Run("does_not_look_behind_a_first_that_is_no_number", func(t *testing.T) {
		for _, value := range []string{"old, 30", ", 30"} {
			age(t, stay, response("Date: "+at(0), "Age: "+value), stay, "the first member of Age counts, and here that is no number. Then the field does not count, and the next member does not stand in for it (RFC 9111 §5.1)")
		}
		age(t, stay, response("Date: "+at(0), "Age: ", "Age: 30"), stay, "two lines of Age are one list (RFC 9110 §5.3), here one with nothing before 30. The first member counts, and it is no number: then the field does not count, and the next line does not stand in for it (RFC 9111 §5.1)")
	})

	t.Run("knows_no_end_of_Age", func(t *testing.T) {
		for _, value := range []string{"2147483647", "2147483648", "99999999999", strings.Repeat("9", 40)} {
			r := response("Date: "+at(0), "Age: "+value)
			got := call(t, r, func() time.Duration { return freshness.Age(r, noon.Add(stay)) })
			require.GreaterOrEqual(t, got, (1<<31-1)*time.Second, "%s\nAge is %v. A number that is too large counts as 2^31 seconds (RFC 9111 §1.2.2): see httpcache.ParseSeconds", show(r), got)
		}
	})

	t.Run("does_not_shrink_when_a_clock_is_set_back", func(t *testing.T) {
		const rule = "our own clock was set back by an hour since it came. It cannot be younger than it was then: see span"
		age(t, 30*time.Second, response("Date: "+at(0), "Age: 30"), -time.Hour, rule)
		age(t, 200*time.Second, response("Date: "+at(-200*time.Second)), -time.Hour, rule+". By its Date it was 200 s old when it came: from Date to Received, and not from Date to now")
	})

	t.Run("does_not_shrink_when_a_clock_is_set_back_on_the_way", func(t *testing.T) {
		r := response("Date: "+at(0), "Age: 30")
		r.Requested = r.Received.Add(5 * time.Second)
		age(t, 130*time.Second, r, stay, "our own clock was set back between Requested and Received, so it came before it was asked for. It took 0 s then, and not less: Age must not get smaller by it. See span")
	})

	t.Run("does_not_overflow", func(t *testing.T) {
		r := response("Date: Mon, 01 Jan 0001 00:00:00 GMT", "Age: 99999999999")
		got := call(t, r, func() time.Duration { return freshness.Age(r, noon.Add(stay)) })
		require.GreaterOrEqual(t, got, (1<<31-1)*time.Second, "%s\nAge is %v. From its Date until today is longer than a time.Duration can be, and a sum with it is negative, which is fresh for ever: see span", show(r), got)
	})
}

// Whatever a header says, a lifetime has its bounds, and an age can be compared
// with it.
func FuzzBounds(f *testing.F) {
	const second = int64(time.Second)
	f.Add(200, "max-age=60", "", "30", at(0), at(0), "", 5*second)
	f.Add(404, "", "max-age=1", "-1", "0", at(0), at(-time.Hour), -5*second)
	f.Add(999, `s-maxage="9", no-cache="a"`, "", "9,9", "Monday, 02-Mar-99 12:00:00 GMT", "", "Mon Mar  2 13:00:00 0000", int64(math.MaxInt64))
	f.Add(200, "", "", "99999999999", "", "Mon, 01 Jan 0001 00:00:00 GMT", "", int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, status int, control, cdn, said, expires, sent, modified string, took int64) {
		r := response()
		r.Status = status
		r.Requested = r.Received.Add(-time.Duration(took))
		for name, value := range map[string]string{"Cache-Control": control, "CDN-Cache-Control": cdn, "Age": said, "Expires": expires, "Date": sent, "Last-Modified": modified} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		got := call(t, r, func() time.Duration { return freshness.Lifetime(r) })
		require.True(t, got >= 0 && got <= httpcache.MaxSeconds, "%s\nLifetime is %v, and must be at least 0 and at most httpcache.MaxSeconds", show(r), got)
		got = call(t, r, func() time.Duration { return freshness.Age(r, noon.Add(time.Minute)) })
		least := min(max(r.Received.Sub(r.Requested), 0), httpcache.MaxSeconds-time.Minute) + time.Minute
		require.True(t, got >= least && got < math.MaxInt64, "%s\nAge is %v a minute after it came: it must be at least that minute and the time from Requested to Received, which is %v, and not overflow", show(r), got, least)
	})
}

func BenchmarkLifetime(b *testing.B) {
	r := response("Date: "+at(0), "Cache-Control: public, max-age=60, stale-while-revalidate=10")
	b.ReportAllocs()
	for b.Loop() {
		_ = freshness.Lifetime(r)
	}
}

func BenchmarkAge(b *testing.B) {
	r := response("Date: "+at(0), "Age: 30")
	b.ReportAllocs()
	for b.Loop() {
		_ = freshness.Age(r, noon)
	}
}

// at is a moment so long after noon, as header fields have it.
func at(after time.Duration) string { return noon.Add(after).Format(http.TimeFormat) }

// response is a 200 with these fields, asked for and received at noon.
func response(fields ...string) *httpcache.Response {
	r := &httpcache.Response{Status: http.StatusOK, Header: http.Header{}, Requested: noon, Received: noon}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// lifetime asserts r's lifetime.
func lifetime(t *testing.T, want time.Duration, r *httpcache.Response, rule string) {
	t.Helper()
	got := call(t, r, func() time.Duration { return freshness.Lifetime(r) })
	if got != want {
		require.Fail(t, "the lifetime is another", "Lifetime of\n%s\nwanted   %v\ngot      %v\n%s", show(r), want, got, rule)
	}
}

// age asserts how old r is when it has been stored for stay.
func age(t *testing.T, want time.Duration, r *httpcache.Response, stay time.Duration, rule string) {
	t.Helper()
	now := r.Received.Add(stay)
	got := call(t, r, func() time.Duration { return freshness.Age(r, now) })
	if got != want {
		require.Fail(t, "the age is another", "Age of\n%s\n    now       %s\nwanted   %v\ngot      %v\n%s", show(r), clock(now), want, got, rule)
	}
}

// call returns what f does, and fails if it does not return or panics.
func call(t *testing.T, r *httpcache.Response, f func() time.Duration) time.Duration {
	t.Helper()
	var got time.Duration
	panicked := make(chan any, 1)
	go func() {
		defer func() { panicked <- recover() }()
		got = f()
	}()
	select {
	case p := <-panicked:
		require.Nil(t, p, "it panicked, with\n%s", show(r))
	case <-time.After(2 * time.Second):
		require.FailNow(t, "it has not returned for two seconds", "with\n%s", show(r))
	}
	return got
}

// show is r to look at.
func show(r *httpcache.Response) string {
	var b strings.Builder
	fmt.Fprintf(&b, "    status    %d\n", r.Status)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			fmt.Fprintf(&b, "    header    %s: %s\n", name, value)
		}
	}
	fmt.Fprintf(&b, "    Requested %s\n    Received  %s", clock(r.Requested), clock(r.Received))
	return b.String()
}

func clock(t time.Time) string { return t.Format(http.TimeFormat) }
