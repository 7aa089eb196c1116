//! Topics around work, money and learning.

use super::Topic;

/// See [`super::all`].
pub(super) const TOPICS: &[Topic] = &[
    Topic {
        name: "job interview",
        things: &["the interview", "the interviewer", "your new job"],
        asks: &[
            "prepare for a job interview",
            "answer {hard|tricky} interview questions",
            "dress for a job interview",
            "ask for a good salary at an interview",
        ],
        steps: &[
            "practise your answers in front of a {mirror|camera}",
            "read the job advert line by line",
            "arrive {ten|fifteen} minutes before the interview",
            "bring two questions for the interviewer",
            "look up what the company does",
            "wear a clean jacket to the interview",
            "name your salary after they make an offer",
            "tell a short story about a {problem|project} you solved",
        ],
        reasons: &[
            "interviewers remember stories",
            "questions show that you want the job",
            "the first salary figure sets the range",
        ],
    },
    Topic {
        name: "presentation",
        things: &["the presentation", "the slides", "your speech"],
        asks: &[
            "give a presentation",
            "make better slides",
            "write a wedding speech",
            "stop shaking when I give a speech",
        ],
        steps: &[
            "put one idea on each slide",
            "rehearse the speech aloud {three|four} times",
            "look at one {listener|friendly face} in each row",
            "begin the presentation with a question",
            "use big letters on the slides",
            "pause after each main point of the speech",
            "bring the slides on a memory stick as well",
            "end the presentation with one clear {message|request}",
        ],
        reasons: &[
            "crowded slides lose the audience",
            "an audience wants the speaker to do well",
            "a pause sounds confident to an audience",
        ],
    },
    Topic {
        name: "exams",
        things: &["the exam", "your revision", "the flash cards"],
        asks: &[
            "study for a {maths|history} exam",
            "remember what I study",
            "stop putting off revision",
            "stay calm in an exam",
        ],
        steps: &[
            "solve {past|last year's} exam papers against the clock",
            "make flash cards for the hard chapters",
            "test yourself instead of rereading your notes",
            "revise in blocks of {twenty-five|forty} minutes",
            "explain the chapter to a classmate",
            "start the exam with the easy questions",
            "draw up a revision timetable",
            "put your phone in another room while you study",
        ],
        reasons: &[
            "testing yourself beats rereading",
            "easy questions calm you in an exam",
            "a timetable makes revision less scary",
        ],
    },
    Topic {
        name: "taxes",
        things: &["the tax return", "the receipts", "the tax office"],
        asks: &[
            "do my tax return",
            "sort my receipts",
            "answer a letter from the tax office",
            "find out what I can deduct",
        ],
        steps: &[
            "gather the receipts in one {folder|envelope}",
            "write the tax deadline in your calendar",
            "file the tax return {online|early}",
            "copy last year's tax return as a guide",
            "deduct the {train tickets|desk} that you need for work",
            "ask the tax office to put it in writing",
            "keep every receipt for seven years",
            "check your tax number on each page",
        ],
        reasons: &[
            "a late tax return costs a fine",
            "faded receipts are worthless to the tax office",
            "most people forget to deduct their desk",
        ],
    },
];
