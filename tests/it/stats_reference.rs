//! Statistics against published examples and reference packages: `tests/fixtures/stats/make.py` names
//! each source.

use rlhf::stats::alpha::{Distance, Reliability};
use rlhf::stats::binomial::fair_coin_p;
use rlhf::stats::kappa::{Weights, kappa};
use rlhf::stats::rating::{Comparison, Covariates, Estimate, Ratings, rate};
use rlhf::stats::wilson::wilson;
use serde::Deserialize;

use crate::stats_stage::Project;

#[derive(Deserialize)]
struct Reference {
    wilson: Vec<WilsonCase>,
    binomial: Vec<BinomialCase>,
    kappa: Vec<KappaCase>,
    alpha: Vec<AlphaCase>,
    bradley_terry: Vec<RatingCase>,
    baseball: Baseball,
    separated: Separated,
    rankings: RankingCase,
}

#[derive(Deserialize)]
struct WilsonCase {
    successes: f64,
    n: usize,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct BinomialCase {
    successes: usize,
    n: usize,
    p: f64,
}

#[derive(Deserialize)]
struct KappaCase {
    categories: usize,
    pairs: Vec<(usize, usize)>,
    same: f64,
    quadratic: f64,
    same_error: f64,
    quadratic_error: f64,
}

/// By item, three annotators: places of the answers, best first, ties together.
#[derive(Deserialize)]
struct RankingCase {
    items: Vec<[Vec<Vec<usize>>; 3]>,
    raw: f64,
    alpha: f64,
    kappa: f64,
}

#[derive(Deserialize)]
struct AlphaCase {
    name: String,
    categories: usize,
    units: Vec<Vec<usize>>,
    nominal: f64,
    ordinal: f64,
}

#[derive(Deserialize)]
struct RatingCase {
    policies: usize,
    side: bool,
    length: bool,
    games: Vec<(usize, usize, f64, f64, f64, usize)>,
    coefficients: Vec<f64>,
    covariance: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Baseball {
    wins: Vec<Vec<usize>>,
    theta: Vec<f64>,
}

#[derive(Deserialize)]
struct Separated {
    games: Vec<(usize, usize, f64)>,
    theta: Vec<f64>,
}

fn reference() -> Reference {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/stats/reference.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn near(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() < 1e-6,
        "{what}: {found} is not {expected}"
    );
}

#[test]
fn wilson_intervals_are_those_of_statsmodels() {
    for case in reference().wilson {
        let interval = wilson(case.successes, case.n);
        near(interval.low, case.low, "low");
        near(interval.high, case.high, "high");
    }
}

#[test]
fn binomial_tests_are_those_of_scipy() {
    for case in reference().binomial {
        near(fair_coin_p(case.successes, case.n), case.p, "p");
    }
}

#[test]
fn cohens_kappa_is_that_of_scikit_learn_and_its_error_that_of_statsmodels() {
    for case in reference().kappa {
        let found = |weights| kappa(&case.pairs, case.categories, weights).unwrap();
        near(found(Weights::Same).kappa, case.same, "unweighted");
        near(found(Weights::Quadratic).kappa, case.quadratic, "quadratic");
        near(found(Weights::Same).error, case.same_error, "its error");
        let error = found(Weights::Quadratic).error;
        near(
            error,
            case.quadratic_error,
            "the error of the quadratic one",
        );
    }
}

#[test]
fn rankings_agree_as_the_pairs_that_they_imply() {
    let case = reference().rankings;
    let mut project = Project::default();
    for (n, said) in case.items.iter().enumerate() {
        let texts = [0, 1, 2, 3].map(|answer| format!("answer {answer} to {n}"));
        let answers: Vec<(&str, &str)> = texts.iter().map(|text| (text.as_str(), "p")).collect();
        let item = project.several(&format!("question {n}"), &answers);
        for (annotator, groups) in ["ada", "ben", "cleo"].into_iter().zip(said) {
            let groups: Vec<&[usize]> = groups.iter().map(Vec::as_slice).collect();
            project.ranks(annotator, item, &groups);
        }
    }
    let report = project.report();
    let found = report.people.agreement.unwrap();
    assert_eq!((found.items, found.units, found.ranked_units), (12, 72, 72));
    near(found.raw, case.raw, "raw agreement");
    let alpha = found.nominal.unwrap();
    near(alpha.alpha, case.alpha, "alpha");
    assert_eq!((alpha.units, found.ordinal), (72, None));
    let pair = &found.pairs[0];
    assert_eq!((pair.items, pair.comparisons), (12, 72));
    near(pair.kappa.unwrap().kappa, case.kappa, "kappa");
    // Pairs of one ranking are not independent: no interval that takes them for it.
    assert_eq!(pair.kappa.unwrap().interval, None);
    assert_eq!(report.annotators["ada"].quality.with_others.unwrap().n, 144);
    let raw = found.raw_interval.unwrap();
    assert!(raw.low < found.raw && found.raw < raw.high, "{raw:?}");
}

#[test]
fn krippendorffs_alpha_is_the_published_one_and_that_of_the_package() {
    let cases = reference().alpha;
    assert_eq!(cases[0].name, "Krippendorff 2011");
    let rounded = [cases[0].nominal, cases[0].ordinal].map(|alpha| (alpha * 1000.0).round());
    assert_eq!(rounded, [743.0, 815.0]);
    for case in cases {
        for (distance, expected) in [
            (Distance::Nominal, case.nominal),
            (Distance::Ordinal, case.ordinal),
        ] {
            let units = case.units.iter().map(Vec::as_slice);
            let reliability = Reliability::new(units, case.categories, distance);
            near(reliability.alpha().unwrap(), expected, &case.name);
        }
    }
}

#[test]
fn ratings_and_their_clustered_errors_are_those_of_statsmodels() {
    for case in reference().bradley_terry {
        let game = |&(first, second, score, side, length, cluster)| Comparison {
            policies: [first, second],
            score,
            side,
            length,
            cluster,
        };
        let games: Vec<_> = case.games.iter().map(game).collect();
        let covariates = Covariates {
            side: case.side,
            length: case.length,
        };
        let ratings = rate(&games, case.policies, 0, covariates).unwrap();
        check_ratings(&case, &ratings);
    }
}

fn check_ratings(case: &RatingCase, ratings: &Ratings) {
    let check = |estimate: Estimate, column: usize, what: &str| {
        near(estimate.value, case.coefficients[column], what);
        let error = case.covariance[column][column].sqrt();
        near(estimate.error.unwrap(), error, what);
    };
    let thetas = case.policies - 1;
    for column in 0..thetas {
        check(ratings.theta(column + 1), column, "theta");
        for other in 0..column {
            let cov = |a: usize, b: usize| case.covariance[a][b];
            let variance = cov(column, column) + cov(other, other) - 2.0 * cov(column, other);
            let difference = ratings.difference(column + 1, other + 1);
            near(difference.error.unwrap(), variance.sqrt(), "difference");
        }
    }
    if let Some(side) = ratings.side() {
        check(side, thetas, "side");
    }
    if let Some(length) = ratings.length() {
        check(length, thetas + usize::from(case.side), "length");
    }
    assert_eq!(
        (ratings.side().is_some(), ratings.length().is_some()),
        (case.side, case.length)
    );
}

fn plain(first: usize, second: usize, score: f64, cluster: usize) -> Comparison {
    Comparison {
        policies: [first, second],
        score,
        side: 0.0,
        length: 0.0,
        cluster,
    }
}

#[test]
fn the_american_league_has_its_published_ratings() {
    let Baseball { wins, theta } = reference().baseball;
    let mut games = Vec::new();
    for (winner, row) in wins.iter().enumerate() {
        for (loser, &n) in row.iter().enumerate() {
            for _ in 0..n {
                games.push(plain(winner, loser, 1.0, games.len()));
            }
        }
    }
    assert_eq!(games.len(), 21 * 13);
    let ratings = rate(&games, 7, 0, Covariates::default()).unwrap();
    // Agresti 2002, table 10.11, Baltimore 0.
    let published = [0.0, 1.58, 1.44, 1.29, 1.25, 1.11, 0.68];
    for (team, (theta, published)) in theta.iter().zip(published).enumerate() {
        let found = ratings.theta(team).value;
        near(found, *theta, "choix");
        assert!((found - published).abs() < 0.005, "{team}: {found}");
    }
}

#[test]
fn a_policy_that_always_won_has_the_rating_of_the_penalised_likelihood() {
    let Separated { games, theta } = reference().separated;
    let each = games.iter().enumerate();
    let games: Vec<_> = each
        .map(|(cluster, &(first, second, score))| plain(first, second, score, cluster))
        .collect();
    let ratings = rate(&games, 3, 0, Covariates::default()).unwrap();
    assert!(ratings.prior());
    for (policy, theta) in theta.into_iter().enumerate() {
        near(ratings.theta(policy).value, theta, "scipy");
    }
}
