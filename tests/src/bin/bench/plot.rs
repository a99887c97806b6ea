//! The plot: bars of the cost of one frame, on a logarithmic scale.

use std::fmt::Write as _;

use crate::report::Section;

const LEFT: f64 = 230.0;
const WIDTH: f64 = 520.0;
const LINE: f64 = 20.0;
const TOP: f64 = 40.0;

/// One section as SVG.
pub(crate) fn svg(section: &Section) -> String {
    let highest = section
        .rows
        .iter()
        .map(|row| row.median())
        .fold(100.0, f64::max);
    let decades = highest.log10().ceil() - 1.0;
    let at = |ns: f64| (ns.max(10.0).log10() - 1.0) / decades * WIDTH;
    let rows = u32::try_from(section.rows.len()).unwrap_or(u32::MAX);
    let bottom = TOP + LINE * f64::from(rows);
    let (width, height) = (LEFT + WIDTH + 90.0, bottom + 30.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">{} ({}, logarithmic: shorter is faster)</text>\n",
        section.title, section.unit
    );
    // Writing to a string cannot fail.
    let mut mark = 10.0;
    while mark <= highest * 10.0 && at(mark) <= WIDTH {
        let x = LEFT + at(mark);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.0}\" y1=\"{TOP}\" x2=\"{x:.0}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{mark}</text>",
            bottom + 18.0
        );
        mark *= 10.0;
    }
    let mut y = TOP;
    for row in &section.rows {
        let colour = match row.name.as_str() {
            name if name.starts_with("arpguard") => "#2a7",
            name if name.starts_with("bare") => "#888",
            _ => "#c74",
        };
        let (median, long) = (row.median(), at(row.median()));
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{:.0}\" width=\"{long:.1}\" height=\"{:.0}\" fill=\"{colour}\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\">{median:.0}</text>",
            LEFT - 6.0,
            y + 14.0,
            row.name,
            y + 3.0,
            LINE - 6.0,
            LEFT + long + 5.0,
            y + 14.0
        );
        y += LINE;
    }
    svg.push_str("</svg>\n");
    svg
}
